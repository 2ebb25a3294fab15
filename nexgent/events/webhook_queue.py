"""The queue of deliveries: events become rows, due rows are claimed, what came of them is written down.

A webhook's cursors move in the transaction that makes its deliveries, so that no event is left out or taken twice,
wherever a process dies. A claim is a lease: what its process did not finish is due again, hence "at least once".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction

from nexgent.api.wire import stamp
from nexgent.events import alarms, registry, selectors
from nexgent.events.models import DeliveryState, Webhook, WebhookAttempt, WebhookCursor, WebhookDelivery
from nexgent.events.records import Record
from nexgent.ids import uuid7

BATCH = 200
WAITING_MAX = 1_000
"""Deliveries that may wait for one webhook; beyond it events stay in their table, which keeps them seven days."""
IN_FLIGHT_MAX = 5
"""Calls to one webhook at a time: one that hangs keeps nobody else waiting."""
LEASE = timedelta(seconds=60)
KEPT = timedelta(days=7)
WAITS = tuple(timedelta(seconds=n) for n in (5, 30, 120, 600, 1800, 3600, 10_800, 21_600, 43_200))
"""Time before each next attempt: ten attempts in a day and an hour."""
CODE = "WEBHOOK_FAILING"

_MOVE = """
INSERT INTO events_webhookcursor (webhook_id, stream_id, seq)
SELECT %s, g.stream_id, g.seq FROM unnest(%s::uuid[], %s::bigint[]) AS g(stream_id, seq)
ON CONFLICT (webhook_id, stream_id) DO UPDATE SET seq = excluded.seq
"""
_CLAIM = """
WITH due AS (
    SELECT d.id, d.webhook_id, d.due_at, d.lease_until,
           row_number() OVER (
               PARTITION BY d.webhook_id ORDER BY d.lease_until > %(now)s DESC NULLS LAST, d.due_at, d.id
           ) AS place
    FROM events_webhookdelivery d JOIN events_webhook w ON w.id = d.webhook_id AND w.is_active
    WHERE d.state = 0 AND d.due_at <= %(now)s
), chosen AS (
    SELECT id FROM events_webhookdelivery
    WHERE id IN (SELECT id FROM due WHERE place <= %(each)s AND (lease_until IS NULL OR lease_until <= %(now)s)
                 ORDER BY due_at LIMIT %(most)s)
      AND state = 0 AND (lease_until IS NULL OR lease_until <= %(now)s)
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE events_webhookdelivery d SET lease_until = %(until)s, attempts = attempts + 1
FROM chosen, events_webhook w WHERE d.id = chosen.id AND w.id = d.webhook_id
RETURNING d.id, d.webhook_id, w.workspace_id, w.url, w.secret, d.stream_id, d.seq, d.type, d.body, d.attempts
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery to be tried now; `attempt` counts from 1."""

    id: UUID
    webhook_id: UUID
    workspace_id: UUID
    url: str
    secret: str
    stream_id: UUID
    seq: int | None
    type: str
    body: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt; `status` is None when nobody answered."""

    delivery: Claimed
    status: int | None
    milliseconds: int
    error: str = ""
    answer: str = ""

    @property
    def is_delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def enqueue(*, now: datetime) -> int:
    """Make deliveries of new events for every webhook; returns how many."""
    return sum(_enqueue_for(webhook_id, now) for webhook_id in _active())


def _active() -> list[UUID]:
    return list(Webhook.objects.filter(is_active=True).order_by("id").values_list("id", flat=True))


@transaction.atomic
def _enqueue_for(webhook_id: UUID, now: datetime) -> int:
    locked = Webhook.objects.select_for_update(no_key=True, skip_locked=True)
    webhook = locked.filter(id=webhook_id, is_active=True).first()
    if webhook is None or webhook.deliveries.filter(state=DeliveryState.WAITING).count() >= WAITING_MAX:
        return 0
    taken = dict(WebhookCursor.objects.filter(webhook_id=webhook_id).values_list("stream_id", "seq"))
    newest = selectors.seqs(registry.workspace_streams(webhook.workspace_id))
    behind = {stream: taken.get(stream, 0) for stream, seq in newest.items() if seq > taken.get(stream, 0)}
    records = selectors.events_after(behind, limit=BATCH)
    if not records:
        return 0
    wanted = [record for record in records if not webhook.event_types or record.type in webhook.event_types]
    WebhookDelivery.objects.bulk_create(_delivery(webhook, record, now) for record in wanted)
    reached = {record.stream_id: record.seq for record in records}
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, [webhook_id, list(reached), list(reached.values())])
    return len(wanted)


def _delivery(webhook: Webhook, record: Record, now: datetime) -> WebhookDelivery:
    delivery_id = uuid7()
    body: dict[str, Any] = {"id": str(delivery_id), "type": record.type, "workspaceId": str(webhook.workspace_id)}
    if record.stream_id != webhook.workspace_id:
        body["agentId"] = str(record.stream_id)
    body |= {"seq": record.seq, "timestamp": stamp(record.at), "data": orjson.Fragment(record.payload_text)}
    return WebhookDelivery(
        id=delivery_id,
        webhook=webhook,
        stream_id=record.stream_id,
        seq=record.seq,
        type=record.type,
        body=orjson.dumps(body).decode(),
        created_at=now,
        due_at=now,
    )


def claim(*, now: datetime, most: int) -> list[Claimed]:
    """Take at most `most` due deliveries, at most five per webhook with those already on their way."""
    values = {"now": now, "each": IN_FLIGHT_MAX, "most": most, "until": now + LEASE}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        return [Claimed(*row) for row in cursor.fetchall()]


def record(outcomes: Sequence[Outcome], *, now: datetime) -> None:
    """Write attempts down: delivered, due again later, or failed for good, which raises an alarm."""
    for outcome in outcomes:
        _record_one(outcome, now)


@transaction.atomic
def _record_one(outcome: Outcome, now: datetime) -> None:
    delivery = outcome.delivery
    if outcome.is_delivered:
        changes = {"state": DeliveryState.DELIVERED, "finished_at": now}
    elif delivery.attempt > len(WAITS):
        changes = {"state": DeliveryState.FAILED, "finished_at": now}
    else:
        changes = {"due_at": now + WAITS[delivery.attempt - 1]}
    mine = WebhookDelivery.objects.filter(id=delivery.id, state=DeliveryState.WAITING, attempts=delivery.attempt)
    if not mine.update(**changes, lease_until=None):
        return  # its lease ran out and another took over, or the webhook was deleted
    WebhookAttempt.objects.create(
        delivery_id=delivery.id,
        at=now,
        status=outcome.status,
        milliseconds=outcome.milliseconds,
        error=outcome.error[:200],
        answer=outcome.answer[:500],
    )
    if outcome.is_delivered:
        alarms.clear(CODE, subject=str(delivery.webhook_id), at=now)
    elif changes.get("state") == DeliveryState.FAILED:
        detail = {"webhookId": str(delivery.webhook_id), "deliveryId": str(delivery.id), "error": outcome.error}
        subject = str(delivery.webhook_id)
        alarms.raise_alarm(CODE, subject=subject, detail=detail, workspace_id=delivery.workspace_id, at=now)


def sweep(*, now: datetime) -> int:
    """Delete finished deliveries older than seven days; returns how many rows went."""
    return WebhookDelivery.objects.filter(finished_at__lt=now - KEPT).delete()[0]
