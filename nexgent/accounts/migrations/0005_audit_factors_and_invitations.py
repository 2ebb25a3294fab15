"""Second factors and invitations join the audit trail; which workspace a person chose is no change of rights."""

from django.db import migrations

TRACK = """
SELECT accounts_audit_track('accounts_user', 'user', 'last_login,chosen_workspace_id');
SELECT accounts_audit_track('accounts_invitation', 'invitation');
SELECT accounts_audit_track('mfa_authenticator', 'factor', 'last_used_at', 'data');
"""
UNTRACK = """
SELECT accounts_audit_track('accounts_user', 'user', 'last_login');
DROP TRIGGER audit ON accounts_invitation;
DROP TRIGGER audit ON mfa_authenticator;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_sessions_keys_letters"),
        ("mfa", "0003_authenticator_type_uniq"),
    ]
    operations = [migrations.RunSQL(TRACK, UNTRACK)]
