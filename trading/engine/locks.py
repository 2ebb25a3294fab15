"""The one order in which rows are locked, and the retry of a unit of work that lost a race.

Order: idempotency, workspace, invitation and members, user, signal, key, agent (entries and DCA only), wallet,
position, protection, order, then the writes, then the stream; `docs/architecture.md` names each row. Within a level by
id. Always FOR NO KEY UPDATE: plain FOR UPDATE would block every insert that refers to the row. Facts are read in
statements after the lock, because a statement that waited still sees its old snapshot elsewhere. Exits never take the
agent lock.
"""

import functools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import ParamSpec, TypeVar
from uuid import UUID

from django.db import IntegrityError, OperationalError, connection
from psycopg import errors

from nexgent import clock, rows
from nexgent.events import alarms
from wallets import services as wallets

log = logging.getLogger(__name__)
ATTEMPTS_MAX = 3
_LOST_RACES = (errors.DeadlockDetected, errors.LockNotAvailable, errors.SerializationFailure, errors.UniqueViolation)
_P = ParamSpec("_P")
_R = TypeVar("_R")

repeats: Counter[str] = Counter()
"""Units of work that were run again since the process started, by cause (a metric)."""


def unit_of_work(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run a whole transaction again, at most three times, when it lost a race: a deadlock, a lock that took too long,
    a row that somebody else inserted first. A deadlock also raises an alarm: the lock order forbids it.
    """

    @functools.wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return function(*args, **kwargs)
            except (OperationalError, IntegrityError) as problem:
                cause = problem.__cause__
                if not isinstance(cause, _LOST_RACES) or connection.in_atomic_block or attempt == ATTEMPTS_MAX:
                    raise
                repeats[type(cause).__name__] += 1
                log.warning("unit of work run again", extra={"work": function.__qualname__, "cause": str(cause)})
                if isinstance(cause, errors.DeadlockDetected):
                    alarms.raise_alarm("DEADLOCK", subject=function.__qualname__, at=clock.now())
        raise AssertionError("unreachable")

    return run


def _lock(table: str, ids: Iterable[UUID]) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT id FROM "{table}" WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE',  # noqa: S608
            [list(ids)],
        )
        return [row[0] for row in cursor.fetchall()]


_AGENTS = 'SELECT id FROM "agents_agent" WHERE id = ANY(%b::uuid[]) ORDER BY id FOR NO KEY UPDATE'
_WALLETS_OF_AGENTS = """
SELECT w.id FROM wallets_wallet w
WHERE w.id = ANY(ARRAY(
    SELECT s.wallet_id FROM agents_assignment s JOIN agents_agent a ON a.id = s.agent_id AND a.mode = s.mode
    WHERE a.id = ANY(%b::uuid[]) AND s.ended_at IS NULL
)) ORDER BY w.id FOR NO KEY UPDATE OF w
"""


def agents_and_wallets(ids: Sequence[UUID]) -> None:
    """Lock agents and then the wallets they trade from; sent only, so that it can stand in a pipeline."""
    for statement in (_AGENTS, _WALLETS_OF_AGENTS):
        rows.execute(statement, [ids]).close()


def agents(ids: Iterable[UUID]) -> list[UUID]:
    """Lock agents (entries and DCA only); returns those that exist."""
    return _lock("agents_agent", ids)


def wallet(wallet_id: UUID) -> None:
    """Lock one wallet: the mutex of its accounts and holds."""
    wallets.lock([wallet_id])


def positions(ids: Iterable[UUID]) -> list[UUID]:
    """Lock positions; returns those that exist."""
    return _lock("trading_position", ids)


def orders(ids: Iterable[UUID]) -> list[UUID]:
    """Lock orders; returns those that exist."""
    return _lock("trading_order", ids)


_PATHS = (
    "SELECT id FROM agents_agent WHERE id IN (SELECT agent_id FROM trading_order WHERE id = ANY(%s) AND side = 0)",
    "SELECT id FROM wallets_wallet WHERE id IN (SELECT wallet_id FROM trading_order WHERE id = ANY(%s))",
    "SELECT id FROM trading_position WHERE id IN (SELECT position_id FROM trading_order WHERE id = ANY(%s))",
    "SELECT id, side, agent_id, wallet_id, position_id FROM trading_order WHERE id = ANY(%s)",
)


def order_paths(order_ids: Iterable[UUID], *, is_patient: bool) -> list[UUID]:
    """Lock what the execution of these orders needs, in one round trip: agents (buys only), wallets, positions, orders.

    Returns the orders whose whole path is held. A patient caller waits for every lock; the other takes what is free,
    so that a set never waits for one of its own.
    """
    wanted = list(order_ids)
    cursors = [connection.cursor() for _ in _PATHS]
    with rows.pipeline():
        for cursor, statement in zip(cursors, _PATHS, strict=True):
            cursor.execute(f"{statement} ORDER BY id FOR NO KEY UPDATE{'' if is_patient else ' SKIP LOCKED'}", [wanted])
    agent_ids, wallet_ids, position_ids = ({row[0] for row in cursor.fetchall()} for cursor in cursors[:3])
    return [
        order_id
        for order_id, side, agent_id, wallet_id, position_id in cursors[3].fetchall()
        if (side or agent_id in agent_ids)
        and wallet_id in wallet_ids
        and (position_id is None or position_id in position_ids)
    ]
