"""Revisions of signals, and the view through which the admin reads verdicts (it cannot show composite keys)."""

import django.db.models.deletion
from django.db import migrations, models

VIEW = """
CREATE VIEW signals_verdict_row AS
SELECT signal_id || ':' || agent_id AS id, signal_id, agent_id, order_id, reasons, at FROM signals_verdict;
"""


class Migration(migrations.Migration):
    dependencies = [("signals", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="SignalRevision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
                ("content", models.JSONField()),
                ("replaced_at", models.DateTimeField()),
                (
                    "signal",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="revisions",
                        to="signals.signal",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("signal", "number"), name="signal_revision_once")]
            },
        ),
        migrations.CreateModel(
            name="VerdictRow",
            fields=[
                ("id", models.CharField(max_length=60, primary_key=True, serialize=False)),
                ("reasons", models.JSONField()),
                ("at", models.DateTimeField()),
            ],
            options={"verbose_name": "verdict", "db_table": "signals_verdict_row", "managed": False},
        ),
        migrations.RunSQL(VIEW, "DROP VIEW signals_verdict_row;"),
    ]
