"""Storage of the watermarks: half-empty pages, so that an update stays on its page and leaves no bloat.

The hot tables are analysed early: foreign-key plans cached while a table was small make every trade slow.
"""

from django.db import migrations

HOT = ("trading_order", "trading_position", "trading_fill")


class Migration(migrations.Migration):
    dependencies = [("trading", "0003_order_not_before")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE trading_watermark SET (fillfactor = 50)", "ALTER TABLE trading_watermark RESET (fillfactor)"
        ),
        *(
            migrations.RunSQL(
                f"ALTER TABLE {table} SET (autovacuum_analyze_scale_factor = 0.02)",
                f"ALTER TABLE {table} RESET (autovacuum_analyze_scale_factor)",
            )
            for table in HOT
        ),
    ]
