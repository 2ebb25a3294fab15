from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("signals", "0002_revisions_and_verdict_view")]

    operations = [
        migrations.AddField(
            model_name="signal", name="lease_until", field=models.DateTimeField(blank=True, null=True)
        )
    ]
