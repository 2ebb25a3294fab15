"""From a signal to its verdicts and orders: every agent gets exactly one answer, skips included.

The signal row is the queue. A drain claims it by a lease; a verdict exists at most once per (signal, agent), written in
the transaction that plans the agent's order, so that a drain that dies or runs twice neither loses nor doubles one.
"""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import UUID

from django.db import OperationalError, connection, transaction

from nexgent import clock
from nexgent.errors import Refusal
from nexgent.events import alarms
from nexgent.rows import insert
from prices import services as prices
from signals import eligibility
from signals.models import Side, Signal, Verdict
from trading.engine import entries, locks, market, sales
from trading.engine.points import reach

log = logging.getLogger(__name__)
BATCH = 50
THREADS = 3
LEASE_SECONDS = 10

_CLAIM = f"""
UPDATE signals_signal SET lease_until = now() + interval '{LEASE_SECONDS} seconds'
WHERE id IN (
    SELECT id FROM signals_signal
    WHERE drained_at IS NULL AND hidden_at IS NULL AND (lease_until IS NULL OR lease_until < now())
    ORDER BY id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING id
"""  # noqa: S608
_VERDICT = ("signal", "agent", "reasons", "order", "at")
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="fanout")


_drained_at = 0.0


def drained_at() -> float:
    """When this process last looked for waiting signals (`time.monotonic`)."""
    return _drained_at


def drain() -> int:
    """Answer every waiting signal; returns how many."""
    global _drained_at
    _drained_at = time.monotonic()
    answered = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_CLAIM, [BATCH])
            claimed = sorted(row[0] for row in cursor.fetchall())
        if claimed:
            reach("signal_claimed")
        for signal in Signal.objects.filter(id__in=claimed).order_by("id"):
            answered += _answered(signal)
        if len(claimed) < BATCH:
            return answered


def _answered(signal: Signal) -> bool:
    """Answer one signal; one that cannot be answered waits for its lease and holds up no other."""
    try:
        answer(signal)
    except OperationalError:
        raise  # the database is away: nothing else can be answered either
    except Exception as problem:
        log.exception("signal not answered", extra={"signal_id": signal.id})
        detail = {"problem": type(problem).__name__}
        alarms.raise_alarm(
            "SIGNAL_STUCK", subject=str(signal.id), detail=detail, workspace_id=signal.workspace_id, at=clock.now()
        )
        return False
    return True


def answer(signal: Signal) -> None:
    """Write the verdict of every agent on one signal and plan the orders it leads to."""
    now = clock.now()
    agents = eligibility.candidates(signal)
    reasons = eligibility.verdicts(signal, agents)
    if signal.dry_run:
        reasons = {agent_id: found or ("dry_run",) for agent_id, found in reasons.items()}
    skipped = [(signal.id, agent_id, list(found), None, now) for agent_id, found in sorted(reasons.items()) if found]
    insert(Verdict, _VERDICT, skipped, conflict="ON CONFLICT DO NOTHING")
    reach("verdict_skips_written")
    eligible = sorted(agent_id for agent_id, found in reasons.items() if not found)
    if eligible and signal.side == Side.SELL:
        _sell(signal, eligible)
    elif eligible:
        _buy(signal, eligible, now)
    reach("signal_answered")
    Signal.objects.filter(id=signal.id).update(drained_at=clock.now(), lease_until=None)


def _buy(signal: Signal, agent_ids: Sequence[UUID], verdict_at: datetime) -> None:
    mint = signal.token_address
    prices.refresh([mint])  # of a token that nobody polled so far there is no price yet
    facts = market.read([mint], now=clock.now())[mint]
    trigger = entries.Trigger(
        mint=mint,
        signal_id=signal.id,
        signal_type=signal.signal_type,
        received_at=signal.received_at,
        verdict_at=verdict_at,
        token_facts=eligibility.token_facts(mint),
    )
    chunks = [agent_ids[start : start + entries.CHUNK] for start in range(0, len(agent_ids), entries.CHUNK)]
    if len(chunks) == 1:
        entries.enter(trigger, chunks[0], facts, journal=_journal(signal.id))
        return
    for future in [_pool.submit(_enter, trigger, chunk, facts, signal.id) for chunk in chunks]:
        future.result()


def _enter(trigger: entries.Trigger, agent_ids: Sequence[UUID], facts: market.MarketFacts, signal_id: int) -> None:
    try:
        entries.enter(trigger, agent_ids, facts, journal=_journal(signal_id))
    finally:
        connection.close()


def _sell(signal: Signal, agent_ids: Sequence[UUID]) -> None:
    """Close each agent's position in the token; an agent without one is skipped with that reason."""
    for agent_id in agent_ids:
        _sell_for(signal, agent_id)


@locks.unit_of_work
@transaction.atomic
def _sell_for(signal: Signal, agent_id: UUID) -> None:
    journal = _journal(signal.id)
    if not journal.unanswered([agent_id]):
        return
    try:
        order_id = sales.sell_on_signal(agent_id=agent_id, mint=signal.token_address, signal_id=signal.id)
        outcome = entries.EntryOutcome(agent_id, order_id=order_id)
    except Refusal as refusal:
        outcome = entries.EntryOutcome(agent_id, refusal=refusal)
    journal.write([outcome])


def _journal(signal_id: int) -> entries.Journal:
    """The verdicts of one signal, read and written inside the engine's transaction."""

    def unanswered(agent_ids: Sequence[UUID]) -> list[UUID]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT agent_id FROM signals_verdict WHERE signal_id = %s AND agent_id = ANY(%s)",
                [signal_id, list(agent_ids)],
            )
            answered = {row[0] for row in cursor.fetchall()}
        return [agent_id for agent_id in agent_ids if agent_id not in answered]

    def write(outcomes: Sequence[entries.EntryOutcome]) -> None:
        at = clock.now()
        rows = [
            (signal_id, outcome.agent_id, reasons_of(outcome.refusal), outcome.order_id, at) for outcome in outcomes
        ]
        insert(Verdict, _VERDICT, rows)

    return entries.Journal(unanswered=unanswered, write=write)


def reasons_of(refusal: Refusal | None) -> list[str]:
    """The reasons of a verdict (lower_snake): the refusal's code, and the codes inside it."""
    if refusal is None:
        return []
    details = refusal.details if isinstance(refusal.details, dict) else {}
    inner = details.get("code")
    return [str(inner or refusal.code).lower(), *details.get("reasons", [])]
