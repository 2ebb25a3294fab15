"""The audit trail with its triggers on everything tracked, and grants of agents to limited members."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from nexgent.accounts.migrations import _audit


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_login_guard_and_rotation'),
        ('admin', '0003_logentry_add_action_flag_choices'),
        ('agents', '0002_immutable_versions'),
        ('contenttypes', '0002_remove_content_type_name'),
        ('trading', '0005_engine_state'),
        ('wallets', '0003_admin_rows'),
    ]

    operations = [
        migrations.AddField(
            model_name='membership',
            name='is_limited',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('workspace_id', models.UUIDField(null=True)),
                ('agent_id', models.UUIDField(null=True)),
                ('kind', models.CharField(max_length=20)),
                ('object_id', models.CharField(max_length=100)),
                ('action', models.CharField(max_length=10)),
                ('actor_kind', models.CharField(max_length=10)),
                ('actor_id', models.UUIDField(null=True)),
                ('actor', models.CharField(max_length=255)),
                ('address', models.CharField(max_length=45)),
                ('client', models.CharField(max_length=60)),
                ('request_id', models.CharField(max_length=64)),
                ('route', models.CharField(max_length=200)),
                ('before', models.JSONField(null=True)),
                ('after', models.JSONField(null=True)),
            ],
            options={
                'verbose_name_plural': 'audit entries',
                'indexes': [models.Index(fields=['workspace_id', '-id'], name='audit_workspace'), models.Index(fields=['kind', 'object_id', '-id'], name='audit_object')],
            },
        ),
        migrations.CreateModel(
            name='AgentGrant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='agents.agent')),
                ('membership', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='grants', to='accounts.membership')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('membership', 'agent'), name='agent_grant_once')],
            },
        ),
        migrations.RunSQL(_audit.FUNCTIONS, _audit.NO_FUNCTIONS),
        migrations.RunSQL(_audit.TRACK, migrations.RunSQL.noop),
    ]
