"""The negative control: what keeps a thing from being done twice is taken away, in the processes and in the database.

* Orders are claimed without a lease, every process is the same owner, and what is sent no longer depends on the state
  of the row: whoever begins an order before it is submitted sends it.
* Entries read an agent's money and positions without the locks of agent and wallet.
* The database lets a wallet have two entries and two positions in one token, and spend what it does not have.

The proof must then find something.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

EVERYBODY = UUID(int=1)
_OPEN = """
UPDATE trading_order SET lease_owner = %s WHERE side = %s AND state < 3 AND id <> ALL(%s)
  AND (not_before IS NULL OR not_before <= %s) AND profile <> ALL(%s)
RETURNING id, profile, wallet_id, mint
"""
_ALWAYS_OURS = "AND changed.id = ANY(%s) AND %s IS NOT NULL RETURNING changed.id"
_GUARDS = """
DROP INDEX IF EXISTS order_one_entry;
DROP INDEX IF EXISTS position_one_open;
ALTER TABLE wallets_account DROP CONSTRAINT IF EXISTS account_covered;
"""


def take_guards_away() -> None:
    """In a worker process, before it begins."""
    from django.db import connection

    from trading.engine import drains, executor, leases, locks
    from trading.models import Side

    def take(side: Side, *, most: int, at: datetime, owner: UUID, but: Sequence[str] = ()) -> list[leases.Claimed]:
        in_hand = drains.drain_of(side).in_hand  # else one process would claim the same order for ever
        with connection.cursor() as cursor:
            cursor.execute(_OPEN, [owner, side, list(in_hand), at, list(but)])
            return [leases.Claimed(*row) for row in cursor.fetchall()]

    def no_lock(ids: Sequence[UUID]) -> None:
        """Instead of `locks.agents_and_wallets`."""

    changed: Any = (leases, drains, executor, locks)
    changed[0].take = take
    changed[1].Drain = partial(drains.Drain, owner=EVERYBODY)
    changed[2]._STILL_OURS = _ALWAYS_OURS
    changed[3].agents_and_wallets = no_lock


def take_constraints_away() -> None:
    """In the database, once."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_GUARDS)
