"""Configuration versions never change once written: orders and positions point at the one they used."""

from django.db import migrations, models

GUARD = """
CREATE FUNCTION agents_version_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'configuration versions are immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER agents_version_immutable BEFORE UPDATE OR DELETE ON agents_configversion
    FOR EACH ROW EXECUTE FUNCTION agents_version_is_immutable();
"""
UNGUARD = """
DROP TRIGGER agents_version_immutable ON agents_configversion;
DROP FUNCTION agents_version_is_immutable();
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0001_initial")]
    operations = [
        migrations.AlterField(
            "agent",
            "profile",
            models.CharField(
                choices=[("ideal", "Ideal"), ("realistic", "Realistic")], default="realistic", max_length=10
            ),
        ),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
