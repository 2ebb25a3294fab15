"""The rows of verdicts: which exist, which come; and the leases of the signals that wait for theirs."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from nexgent import clock, rows
from nexgent.errors import Refusal
from signals.models import Signal
from trading.engine import entries
from trading.engine.points import reach

LEASE_SECONDS = 10
RENEW_SECONDS = 3.0
Reasons = Mapping[UUID, tuple[str, ...]]
"""All reasons against each agent; none: it is eligible."""

_GIVEN = """
SELECT signal_id, agent_id FROM signals_verdict WHERE signal_id = ANY(%b::bigint[]) AND agent_id = ANY(%b::uuid[])
"""
_INSERT = """
INSERT INTO signals_verdict (signal_id, agent_id, reasons, order_id, at)
SELECT signal_id, agent_id, reasons::jsonb, order_id, %b
FROM unnest(%b::bigint[], %b::uuid[], %b::text[], %b::uuid[]) AS given(signal_id, agent_id, reasons, order_id)
"""
_INSERT_SKIPS = f"{_INSERT} ON CONFLICT DO NOTHING"
_RENEW = f"""
UPDATE signals_signal SET lease_until = now() + interval '{LEASE_SECONDS} seconds'
WHERE {rows.UNHURRIED} AND id = ANY(%s) AND drained_at IS NULL
"""  # noqa: S608
# For a second: beat rings again by then, and what is waited for may be answered.
_POSTPONE = f"""
UPDATE signals_signal SET lease_until = now() + interval '1 second'
WHERE {rows.UNHURRIED} AND id = ANY(%s) AND drained_at IS NULL
"""  # noqa: S608
_FINISH = f"UPDATE signals_signal SET drained_at = %s, lease_until = NULL WHERE {rows.UNHURRIED} AND id = ANY(%s)"  # noqa: S608


class Given(entries.Answers):
    """The verdicts that exist, once their statement has been answered."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def given(self) -> set[tuple[int | None, UUID]]:
        with self._cursor:
            return set(self._cursor.fetchall())


def answers(signal_ids: Sequence[int | None], agent_ids: Sequence[UUID]) -> Given:
    """Ask which of these agents have their verdict on these signals; nothing is fetched yet."""
    return Given(rows.execute(_GIVEN, [list(signal_ids), list(agent_ids)]))


def write(outcomes: Sequence[entries.EntryOutcome]) -> None:
    """Store what became of agents, in the transaction of their orders."""
    given = [
        (outcome.signal_id, outcome.agent_id, reasons_of(outcome.refusal), outcome.order_id) for outcome in outcomes
    ]
    _insert(_INSERT, given, at=clock.now())


def write_skips(skips: Sequence[tuple[int, Reasons]], *, at: datetime) -> None:
    """Store the verdicts of agents that a signal does not concern; those that exist stay."""
    given = [
        (signal_id, agent_id, list(against), None)
        for signal_id, reasons in skips
        for agent_id, against in sorted(reasons.items())
        if against
    ]
    _insert(_INSERT_SKIPS, given, at=at)
    reach("verdict_skips_written")


def _insert(sql: str, given: Sequence[tuple[Any, ...]], *, at: datetime) -> None:
    if not given:
        return
    signal_ids, agent_ids, reasons, order_ids = (list(column) for column in zip(*given, strict=True))
    texts = [orjson.dumps(words).decode() if words else "[]" for words in reasons]
    rows.execute(sql, [at, signal_ids, agent_ids, texts, order_ids]).close()


JOURNAL = entries.Journal(answers=answers, write=write)
"""Verdicts, read and written inside the engine's transaction."""


def with_dry_run(signal: Signal, reasons: Reasons) -> Reasons:
    """The same, with nobody eligible on a dry run."""
    if not signal.dry_run:
        return reasons
    return {agent_id: against or ("dry_run",) for agent_id, against in reasons.items()}


def reasons_of(refusal: Refusal | None) -> list[str]:
    """The reasons of a verdict (lower_snake): the refusal's code, and the codes inside it."""
    if refusal is None:
        return []
    details = refusal.details if isinstance(refusal.details, dict) else {}
    inner = details.get("code")
    return [str(inner or refusal.code).lower(), *details.get("reasons", [])]


class Leases:
    """Signals claimed by this drain, kept while it works on them."""

    def __init__(self, signal_ids: Sequence[int]) -> None:
        self._signal_ids = list(signal_ids)
        self._due = time.monotonic() + RENEW_SECONDS

    def keep(self) -> None:
        """Renew the leases of those that still wait, when it is time."""
        if time.monotonic() < self._due:
            return
        with connection.cursor() as cursor:
            cursor.execute(_RENEW, [self._signal_ids])
        self._due = time.monotonic() + RENEW_SECONDS


def postpone(signal_ids: Sequence[int]) -> None:
    """Let claimed signals wait a second longer."""
    if signal_ids:
        with connection.cursor() as cursor:
            cursor.execute(_POSTPONE, [list(signal_ids)])


def finish(signal_ids: Sequence[int]) -> None:
    """Every verdict on these signals exists."""
    if signal_ids:
        with connection.cursor() as cursor:
            cursor.execute(_FINISH, [clock.now(), list(signal_ids)])
