"""Alarms that were raised before they named their agent get it, from the position or order they are about."""

from django.db import migrations

FILL = """
UPDATE events_alarm a SET agent_id = p.agent_id FROM trading_position p
WHERE a.agent_id IS NULL AND p.id = a.subject::uuid
  AND a.code IN ('EXIT_FAILING', 'POSITION_STUCK', 'POSITION_UNTRADABLE');
UPDATE events_alarm a SET agent_id = o.agent_id, workspace_id = o.workspace_id FROM trading_order o
WHERE a.agent_id IS NULL AND a.code = 'ORDER_STUCK' AND o.id = a.subject::uuid;
UPDATE events_alarm a SET agent_id = g.id FROM agents_agent g
WHERE a.agent_id IS NULL AND a.code = 'AGENT_STUCK' AND g.id = a.subject::uuid;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("trading", "0005_engine_state"),
        ("agents", "__first__"),
        ("events", "0004_alarm_agent"),
    ]

    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
