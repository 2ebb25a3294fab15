"""Webhooks join the audit trail: who sends which events where."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_audit_factors_and_invitations"),
        ("events", "0003_webhooks"),
    ]
    operations = [
        migrations.RunSQL(
            "SELECT accounts_audit_track('events_webhook', 'webhook')", "DROP TRIGGER audit ON events_webhook"
        )
    ]
