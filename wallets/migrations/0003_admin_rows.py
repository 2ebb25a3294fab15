"""Views with a text key over the tables whose primary key is composite: what the admin reads."""

import nexgent.rows
from django.db import migrations, models

VIEWS = """
CREATE VIEW wallets_account_view AS
    SELECT wallet_id || ':' || asset || ':' || kind AS id, wallet_id, asset, kind, balance, held FROM wallets_account;
CREATE VIEW wallets_posting_view AS
    SELECT entry_id || ':' || line AS id, entry_id, line, wallet_id, asset, kind, amount FROM wallets_posting;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('wallets', '0002_guards'),
    ]

    operations = [
        migrations.CreateModel(
            name='AccountRow',
            fields=[
                ('id', models.TextField(primary_key=True, serialize=False)),
                ('asset', models.CharField(max_length=44)),
                ('kind', models.CharField(choices=[('own', 'Own'), ('external', 'External'), ('market', 'Market'), ('fees', 'Fees'), ('rent', 'Rent'), ('burned', 'Burned'), ('adjustment', 'Adjustment')], max_length=10)),
                ('balance', nexgent.rows.UnitsField(decimal_places=0, max_digits=39)),
                ('held', nexgent.rows.UnitsField(decimal_places=0, max_digits=39)),
            ],
            options={
                'verbose_name': 'account',
                'db_table': 'wallets_account_view',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='PostingRow',
            fields=[
                ('id', models.TextField(primary_key=True, serialize=False)),
                ('line', models.SmallIntegerField()),
                ('asset', models.CharField(max_length=44)),
                ('kind', models.CharField(choices=[('own', 'Own'), ('external', 'External'), ('market', 'Market'), ('fees', 'Fees'), ('rent', 'Rent'), ('burned', 'Burned'), ('adjustment', 'Adjustment')], max_length=10)),
                ('amount', nexgent.rows.UnitsField(decimal_places=0, max_digits=39)),
            ],
            options={
                'verbose_name': 'posting',
                'db_table': 'wallets_posting_view',
                'ordering': ['entry', 'line'],
                'managed': False,
            },
        ),
        migrations.RunSQL(VIEWS, "DROP VIEW wallets_posting_view; DROP VIEW wallets_account_view;"),
    ]
