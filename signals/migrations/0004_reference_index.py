from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Signals by their sender's reference; built beside running writes, and only over those that have one."""

    atomic = False
    dependencies = [("signals", "0003_signal_lease")]
    operations = [
        AddIndexConcurrently(
            model_name="signal",
            index=models.Index(
                condition=models.Q(("external_ref", ""), _negated=True),
                fields=["workspace", "external_ref"],
                name="signal_reference",
            ),
        )
    ]
