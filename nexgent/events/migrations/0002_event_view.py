from django.db import migrations, models

VIEW = """
CREATE VIEW events_eventrow AS
SELECT stream_id::text || ':' || seq AS id, stream_id, seq, type, payload, at FROM events_event
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [
        migrations.RunSQL(VIEW, "DROP VIEW events_eventrow"),
        migrations.CreateModel(
            name="EventRow",
            fields=[
                ("id", models.CharField(max_length=60, primary_key=True, serialize=False)),
                ("stream_id", models.UUIDField()),
                ("seq", models.BigIntegerField()),
                ("type", models.CharField(max_length=40)),
                ("payload", models.JSONField()),
                ("at", models.DateTimeField()),
            ],
            options={"verbose_name": "event", "db_table": "events_eventrow", "managed": False},
        ),
    ]
