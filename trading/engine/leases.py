"""Leases: who executes an order right now. An expired lease is an orphan that anybody may claim.

Leases run on the database's clock, so that machines with different clocks agree. A process renews those of the orders
in its hands every three seconds; every state change is conditional on the owner.
"""

import threading
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from nexgent.ids import uuid7
from trading.engine.threads import turn
from trading.models import Side

OWNER = uuid7()
LEASE_SECONDS = 10
RENEW_SECONDS = 3

_CLAIM = f"""
UPDATE trading_order SET lease_owner = %s, lease_until = now() + interval '{LEASE_SECONDS} seconds'
WHERE id IN (
    SELECT id FROM trading_order
    WHERE side = %s AND state < 3 AND (lease_until IS NULL OR lease_until < now())
      AND (not_before IS NULL OR not_before <= %s) AND profile <> ALL(%s)
    ORDER BY created_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING id, profile, wallet_id, mint
"""  # noqa: S608
# A row that somebody has locked is renewed three seconds later; waiting for it could stand against the lock order.
_RENEW = f"""
WITH held AS (
    SELECT id FROM trading_order WHERE id = ANY(%s) AND lease_owner = %s ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE trading_order o SET lease_until = now() + interval '{LEASE_SECONDS} seconds' FROM held WHERE o.id = held.id
"""  # noqa: S608


class Claimed(NamedTuple):
    """An order that is ours for the length of its lease."""

    order_id: UUID
    profile: str
    wallet_id: UUID
    mint: str


def take(side: Side, *, most: int, at: object, owner: UUID = OWNER, but: Sequence[str] = ()) -> list[Claimed]:
    """Claim up to `most` planned or orphaned orders of one side, oldest first, none of the venues named in `but`; a
    short transaction of its own.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [owner, side, at, list(but), most])
        return [Claimed(*row) for row in cursor.fetchall()]


def claim(side: Side, *, most: int, at: object, owner: UUID = OWNER) -> list[UUID]:
    """`take`, for whoever wants the orders' ids only."""
    return [claimed.order_id for claimed in take(side, most=most, at=at, owner=owner)]


def renew(order_ids: Sequence[UUID], *, owner: UUID = OWNER) -> None:
    """Keep the leases of orders that are still being executed here."""
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, [list(order_ids), owner])


class Heartbeat:
    """Renews the leases of the orders in hand until it is stopped."""

    def __init__(self, in_hand: set[UUID], *, owner: UUID = OWNER) -> None:
        self._in_hand, self._owner = in_hand, owner
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(RENEW_SECONDS):
            if not (ids := list(self._in_hand)):
                continue
            with turn("leases not renewed"):  # without it others would take what is in hand here
                renew(ids, owner=self._owner)
