"""From signals to their verdicts and orders: every agent gets exactly one answer on each, skips included.

The signal row is the queue. A drain claims rows by a lease; a verdict exists at most once per (signal, agent), written
in the transaction that plans the agent's order, so that a drain that dies or runs twice neither loses nor doubles one.
Buys that wait together are answered together (`buys.py`); a sell waits for the buys before it, also for one of its
token that another drain has in hand.
"""

import itertools
import threading
import time
from collections.abc import Sequence
from uuid import UUID

from django.db import OperationalError, transaction

from nexgent import clock, rows
from nexgent.errors import Refusal
from signals import buys, eligibility, stuck, verdicts
from signals.models import Side, Signal
from trading.engine import entries, locks, sell_signals
from trading.engine.points import reach

BATCH = 50

DRAINS_MAX = 2
"""At once in this process: more would only make the sets smaller that are answered together."""

# The claim does not wait for the disk: one that a crash takes back is claimed again.
_CLAIM = f"""
UPDATE signals_signal SET lease_until = now() + interval '{verdicts.LEASE_SECONDS} seconds'
WHERE {rows.UNHURRIED} AND id IN (
    SELECT id FROM signals_signal
    WHERE drained_at IS NULL AND hidden_at IS NULL AND (lease_until IS NULL OR lease_until < now())
    ORDER BY id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING *
"""  # noqa: S608

_drained_at = 0.0


class _Doors:
    """Who is inside `drain`; one that finds it full leaves word, and those inside look once more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._is_wanted = False

    def enter(self) -> bool:
        with self._lock:
            if self._inside >= DRAINS_MAX:
                self._is_wanted = True
                return False
            self._inside += 1
            return True

    def leave(self, *, is_done: bool) -> bool:
        """False when somebody left word meanwhile and the one who is done has to look once more."""
        with self._lock:
            if is_done and self._is_wanted:
                self._is_wanted = False
                return False
            self._inside -= 1
            return True


_doors = _Doors()


def drained_at() -> float:
    """When this process last looked for waiting signals (`time.monotonic`)."""
    return _drained_at


def drain() -> int:
    """Answer every waiting signal; returns how many, 0 when enough drains of this process are at it already.

    A signal that cannot be answered waits for its lease and holds up no other.
    """
    if not _doors.enter():
        return 0
    answered = 0
    try:
        while True:
            claimed = _claimed()
            if claimed:
                answered += _answered(claimed)
            elif _doors.leave(is_done=True):
                return answered
    except BaseException:
        _doors.leave(is_done=False)
        raise


def _claimed() -> list[Signal]:
    global _drained_at
    _drained_at = time.monotonic()
    claimed = sorted(Signal.objects.raw(_CLAIM, [BATCH]), key=lambda signal: signal.id)
    if claimed:
        reach("signal_claimed")
    return claimed


def _answered(claimed: Sequence[Signal]) -> int:
    early: list[int] = []
    problems = _answer_all(claimed, early)
    for signal in claimed:
        if signal.id in problems:
            stuck.tell_signal(signal, problems[signal.id])
    verdicts.postpone(early)
    return len(claimed) - len(problems) - len(early)


def answer(signal: Signal) -> None:
    """Write the verdict of every agent on one signal and plan the orders it leads to."""
    for problem in _answer_all([signal]).values():
        raise problem


def _answer_all(waiting: Sequence[Signal], early: list[int] | None = None) -> dict[int, Exception]:
    """Answer signals in the order of their ids; what kept some from it, by their ids. Sells that come before the answer
    to an older buy of their token are put on the list `early` instead, if there is one.

    Raises OperationalError when the database is away.
    """
    problems: dict[int, Exception] = {}
    leases = verdicts.Leases([signal.id for signal in waiting])
    for is_sell, run in itertools.groupby(waiting, key=lambda signal: signal.side == Side.SELL):
        if not is_sell:
            problems |= buys.answer(list(run), leases)
            continue
        for signal in run:
            leases.keep()
            try:
                if early is None:
                    _answer_sell(signal)
                elif stuck.has_older_buy(signal) or not _answer_sell(signal, is_patient=True):
                    early.append(signal.id)
            except OperationalError:
                raise  # the database is away: nothing else can be answered either
            except Exception as problem:
                problems[signal.id] = problem
    return problems


def _answer_sell(signal: Signal, *, is_patient: bool = False) -> bool:
    """Close each agent's position in the token; an agent without one is skipped with that reason.

    With `is_patient` an agent gets no answer yet while an entry in the token or a sale of a part of its position is on
    its way; False when there is one.
    """
    found = eligibility.verdicts(signal, eligibility.candidates(signal))
    reasons = verdicts.with_dry_run(signal, found)
    verdicts.write_skips([(signal.id, reasons)], at=clock.now())
    problem: Exception | None = None
    is_answered = True
    for agent_id in sorted(agent_id for agent_id, against in reasons.items() if not against):
        try:
            is_answered &= _sell_for(signal, agent_id, is_patient=is_patient)
        except OperationalError:
            raise
        except Exception as unexpected:  # the others sell; this agent's sale is tried again with the signal
            stuck.tell_agent(agent_id, signal.workspace_id, unexpected, step=stuck.SALE)
            problem = unexpected
    if problem is not None:
        raise problem
    if is_answered:
        reach("signal_answered")
        verdicts.finish([signal.id])
    return is_answered


@locks.unit_of_work
@transaction.atomic
def _sell_for(signal: Signal, agent_id: UUID, *, is_patient: bool) -> bool:
    """Answer the signal for one agent; False when something of its own has to end first."""
    if verdicts.answers([signal.id], [agent_id]).given():
        return True
    meant = sell_signals.SellSignal(signal.id, signal.token_address, signal.received_at)
    try:
        order_id = sell_signals.follow(meant, agent_id=agent_id, is_patient=is_patient)
        if order_id is None:
            return False
        outcome = entries.EntryOutcome(agent_id, order_id=order_id, signal_id=signal.id)
    except Refusal as refusal:
        outcome = entries.EntryOutcome(agent_id, refusal=refusal, signal_id=signal.id)
    verdicts.write([outcome])
    return True
