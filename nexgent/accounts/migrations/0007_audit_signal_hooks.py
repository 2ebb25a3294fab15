"""Signal hooks join the audit trail: whose alerts become signals."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_audit_webhooks"),
        ("signals", "0005_hooks"),
    ]
    operations = [
        migrations.RunSQL(
            "SELECT accounts_audit_track('signals_signalhook', 'signal_hook')",
            "DROP TRIGGER audit ON signals_signalhook",
        )
    ]
