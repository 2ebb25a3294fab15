"""Buys that wait together: the verdicts of all, then their entries in lanes.

A lane is up to 25 agents; it takes the signals in order, as many at a time as make one transaction, so that no agent
meets a later signal before an earlier one. Lanes take turns on a few threads and never wait for each other. Signals
whose token has no fresh price are asked about together, beside the others, and follow them.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from uuid import UUID

import psycopg
from django.db import Error, OperationalError, connection

from nexgent import clock
from nexgent.accounts import spending
from nexgent.errors import NotFound
from prices import selectors as known_prices
from prices import services as prices
from prices.records import ENTRY_MAX_AGE
from signals import eligibility, stuck, verdicts
from signals.models import Signal
from trading.engine import entries, market
from trading.engine.points import reach

THREADS = 3
MARKET_SECONDS = 1.0
"""Longer than that what was read of a market is not used for the next transaction."""

_PASSING = (Error, psycopg.Error, OSError)
"""Problems that may pass, with a database or a wire behind them: the signal is tried again. Any other comes again."""

_Markets = Mapping[str, market.MarketFacts]
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="fanout")
_asking = ThreadPoolExecutor(2, thread_name_prefix="fanout-ask")


def answer(signals: Sequence[Signal], leases: verdicts.Leases) -> dict[int, Exception]:
    """Answer buy signals; what kept some from it, by their ids. Raises OperationalError when the database is away.

    When something that concerns all fails, say a market that cannot be read, each is answered by itself.
    """
    try:
        return _answer_all(signals, leases)
    except OperationalError:
        raise  # nothing else can be answered either
    except Exception as problem:
        if len(signals) == 1:
            return {signals[0].id: problem}
    problems: dict[int, Exception] = {}
    for signal in signals:
        problems |= answer([signal], leases)
    return problems


def _answer_all(signals: Sequence[Signal], leases: verdicts.Leases) -> dict[int, Exception]:
    """Those with a fresh price at once, the others when they have been asked about."""
    now = clock.now()
    markets = market.read(sorted({signal.token_address for signal in signals}), now=now)
    fresh, late = [], []
    for signal in signals:
        known = markets.get(signal.token_address)
        tick = known.latest if known is not None else None
        is_fresh = known_prices.is_fresh(tick, now=now, max_age=ENTRY_MAX_AGE)
        (fresh if is_fresh else late).append(signal)
    if not late:
        return _Run(fresh, leases, markets).answer()
    mints = sorted({signal.token_address for signal in late})
    if not fresh:
        prices.refresh(mints)  # of a token that nobody polled so far there is no price yet
        return _Run(late, leases).answer()
    asked = _asking.submit(_refresh, mints)
    problems = _Run(fresh, leases, markets).answer()
    asked.result()
    return problems | _Run(late, leases).answer()


def _refresh(mints: Sequence[str]) -> None:
    try:
        prices.refresh(mints)
    finally:
        connection.close()


_Step = Sequence[tuple[Signal, frozenset[UUID]]]
"""Signals with those of a lane's agents that they concern."""


class _Lane:
    """Agents that one transaction locks, and the signals that some of them still wait for."""

    def __init__(self, agent_ids: Sequence[UUID]) -> None:
        self.agent_ids = frozenset(agent_ids)
        self.steps: Iterator[_Step] = iter(())

    def plan(self, wanted: _Step) -> None:
        """Group the signals by transactions of at most `ORDERS_MAX` orders."""
        steps: list[list[tuple[Signal, frozenset[UUID]]]] = []
        orders = entries.ORDERS_MAX
        for signal, eligible in wanted:
            mine = eligible & self.agent_ids
            if not mine:
                continue
            if orders + len(mine) > entries.ORDERS_MAX:
                steps.append([])
                orders = 0
            steps[-1].append((signal, mine))
            orders += len(mine)
        self.steps = iter(steps)


class _Run:
    """One set of buys on its way."""

    def __init__(self, signals: Sequence[Signal], leases: verdicts.Leases, markets: _Markets | None = None) -> None:
        self.signals = signals
        self.leases = leases
        self.problems: dict[int, Exception] = {}
        self._apart: set[UUID] = set()
        """Agents that failed: in every step from then on they would spoil it for the others."""
        self._verdict_at = clock.now()
        self._markets = markets
        self._read_at = time.monotonic()
        self._reading = threading.Lock()
        self._limited = spending.limited(signal.api_key_id for signal in signals)

    def answer(self) -> dict[int, Exception]:
        """Answer all; what kept some from it, by their ids."""
        lanes = self._lanes()
        if len(lanes) == 1:
            for step in lanes[0].steps:
                self.leases.keep()
                self._take(step)
        else:
            self._work(lanes)
        reach("signal_answered")
        verdicts.finish([signal.id for signal in self.signals if signal.id not in self.problems])
        return self.problems

    def _lanes(self) -> list[_Lane]:
        """Write the verdicts that are known at once; the rest is the engine's."""
        skips, wanted, agents = [], [], {}
        for signal in self.signals:
            if signal.workspace_id not in agents:
                agents[signal.workspace_id] = eligibility.candidates(signal)
            reasons = verdicts.with_dry_run(signal, eligibility.verdicts(signal, agents[signal.workspace_id]))
            skips.append((signal.id, reasons))
            wanted.append((signal, frozenset(agent_id for agent_id, against in reasons.items() if not against)))
        verdicts.write_skips(skips, at=self._verdict_at)
        everybody = frozenset[UUID]().union(*(eligible for _, eligible in wanted))
        lanes = [_Lane(chunk) for chunk in entries.chunks(list(everybody))]
        for lane in lanes:
            lane.plan(wanted)
        return lanes

    def _work(self, lanes: Sequence[_Lane]) -> None:
        """Have the lanes take turns until all are through; leases are renewed meanwhile."""
        running = {self._submit(lane): lane for lane in lanes}
        while running:
            self.leases.keep()
            done, _ = wait(running, timeout=verdicts.RENEW_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                lane = running.pop(future)
                if future.result():
                    running[self._submit(lane)] = lane

    def _submit(self, lane: _Lane) -> Future[bool]:
        return _pool.submit(self._step, lane)

    def _step(self, lane: _Lane) -> bool:
        """Take a lane's next signals; False when there are none."""
        try:
            step = next(lane.steps, None)
            if step is not None:
                self._take(step)
            return step is not None
        finally:
            connection.close()

    def _take(self, step: _Step) -> None:
        """Enter on some signals: together, and each by itself those agents that failed before."""
        apart = frozenset(self._apart)
        if together := [(signal, agent_ids - apart) for signal, agent_ids in step if agent_ids - apart]:
            self._enter(together)
        for signal, agent_ids in step:
            for agent_id in sorted(agent_ids & apart):
                self._enter([(signal, frozenset([agent_id]))])

    def _enter(self, step: _Step) -> None:
        """Enter on some signals in one transaction; when that fails each has one of its own, and then each agent."""
        is_of_signal = True
        try:
            wishes = [self._wish(signal, ids) for signal, ids in step]
            is_of_signal = False
            entries.enter_chunk(wishes, journal=verdicts.JOURNAL)
        except OperationalError:
            raise  # the database is away: nothing else can be answered either
        except Exception as problem:
            if len(step) > 1:
                for one in step:
                    self._take([one])
            elif is_of_signal:
                self.problems[step[0][0].id] = problem
            else:
                self._one_by_one(*step[0], problem)

    def _one_by_one(self, signal: Signal, agent_ids: frozenset[UUID], problem: Exception) -> None:
        """Set apart the agent that fails, so that the others of its lane enter."""
        if len(agent_ids) > 1:
            for agent_id in sorted(agent_ids):
                self._enter([(signal, frozenset([agent_id]))])
        elif isinstance(problem, _PASSING):
            self.problems[signal.id] = problem
        else:
            self._apart |= agent_ids
            stuck.set_apart(signal, *agent_ids, problem)

    def _wish(self, signal: Signal, agent_ids: frozenset[UUID]) -> entries.Wish:
        """Raises NotFound for a token without a row."""
        mint = signal.token_address
        known = self._known().get(mint)
        if known is None:
            raise NotFound("token")
        trigger = entries.Trigger(
            mint=mint,
            signal_id=signal.id,
            signal_type=signal.signal_type,
            received_at=signal.received_at,
            verdict_at=self._verdict_at,
            token_facts=known.token_facts,
            limited_key_id=signal.api_key_id if signal.api_key_id in self._limited else None,
        )
        return entries.Wish(trigger, known, agent_ids)

    def _known(self) -> _Markets:
        """The markets of all tokens of the run, not older than a second; those without a row are absent."""
        with self._reading:
            if self._markets is None or time.monotonic() - self._read_at > MARKET_SECONDS:
                tokens = sorted({signal.token_address for signal in self.signals})
                self._markets = market.read(tokens, now=clock.now())
                self._read_at = time.monotonic()
            return self._markets
