"""Alarms: what a person must know. At most one is open per code and subject; raising it again changes nothing.

Row and event are one transaction of their own. Called inside a transaction, an alarm waits for its commit: a stream
lock taken early would stand against the lock order, and a fact that was rolled back needs no alarm.
"""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from nexgent.events.services import NewEvent, append
from nexgent.ids import uuid7

_OPEN = """
INSERT INTO events_alarm (id, code, subject, workspace_id, agent_id, detail, since)
VALUES (%s, %s, %s, %s, %s, %s::text::jsonb, %s)
ON CONFLICT (code, subject) WHERE cleared_at IS NULL DO NOTHING
"""
_CLOSE = """
UPDATE events_alarm SET cleared_at = %s WHERE code = %s AND subject = %s AND cleared_at IS NULL
RETURNING id, workspace_id
"""


def raise_alarm(
    code: str,
    *,
    subject: str,
    detail: dict[str, Any] | None = None,
    workspace_id: UUID | None = None,
    agent_id: UUID | None = None,
    at: datetime,
) -> None:
    """Open the alarm `code` about `subject` unless it is open; an event `alarm_raised` tells the workspace.

    `agent_id` is the agent that the subject belongs to, if any: who may not see that agent does not see the alarm.
    """
    transaction.on_commit(lambda: _open(code, subject, detail or {}, workspace_id, agent_id, at))


def clear(code: str, *, subject: str, at: datetime) -> None:
    """End the open alarm `code` about `subject`, if there is one; an event `alarm_cleared` tells its workspace."""
    transaction.on_commit(lambda: _close(code, subject, at))


def _open(
    code: str, subject: str, detail: dict[str, Any], workspace_id: UUID | None, agent_id: UUID | None, at: datetime
) -> None:
    alarm_id = uuid7()
    facts = json.dumps(detail, default=str)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_OPEN, [alarm_id, code, subject, workspace_id, agent_id, facts, at])
        if cursor.rowcount and workspace_id is not None:
            payload = {"alarmId": str(alarm_id), "code": code, "subject": subject, "detail": json.loads(facts)}
            append([NewEvent(workspace_id, "alarm_raised", payload, at)])


def _close(code: str, subject: str, at: datetime) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_CLOSE, [at, code, subject])
        row = cursor.fetchone()
        if row is not None and row[1] is not None:
            payload = {"alarmId": str(row[0]), "code": code, "subject": subject}
            append([NewEvent(row[1], "alarm_cleared", payload, at)])
