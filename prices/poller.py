"""One round of polling: who is asked about which mints, what counts of the answers, and what is told of the feeds.

Feeds are asked in their order; what the first cannot answer in time goes to the next, while the late answer still
counts when it comes. Held mints come first, and rounds stretch when a provider's budget is spent. Every call has a
deadline of its own and a thread of its own, so that a hanging provider holds up nobody else.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from nexgent import clock, money
from prices import absence
from prices.feeds.confirmation import DIFFERENCE_SHARE, Confirmation, differ
from prices.feeds.oracle import SolOracle
from prices.feeds.protocol import Answer, Feed, FeedFailure
from prices.records import Lane, PriceTick

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.5
FIRST_WORD_SECONDS = 1.5
"""So long the next feed waits for the one before it."""
ANSWER_SECONDS = 4.0
CALLS_AT_ONCE = 8
SECOND_FEED_AFTER = timedelta(seconds=5)
"""When the budget of a feed is spent, the next one is asked only about prices older than this."""
LOOK_AGAIN_SECONDS = INTERVAL_SECONDS + 0.25
"""A jump that no round asked about since is asked about again after so long: well before it counts."""
CONFIRM_EVERY_SECONDS = 30.0
FAILURES_TO_ALARM = 3
OK, FAILING, DOWN, WAITING = "ok", "failing", "down", "waiting"
RANK = {Lane.LIVE: 0, Lane.POSITIONS: 1, Lane.SIGNALS: 2, Lane.BACKGROUND: 3}

Publish = Callable[[Sequence[PriceTick]], None]
Alarm = Callable[[str, str, dict[str, object] | None], None]
"""(code, subject, detail); detail None clears."""


@dataclass(slots=True)
class FeedState:
    """What a feed did in this process; for `manage.py feeds` and health."""

    name: str
    rounds: int = 0
    answered: int = 0
    rejected: int = 0
    failures_in_a_row: int = 0
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    last_failure: str = ""

    @property
    def word(self) -> str:
        """How it does: one failure is none yet, three in a row are an alarm and `down`."""
        if self.failures_in_a_row >= FAILURES_TO_ALARM:
            return DOWN
        return FAILING if self.failures_in_a_row else OK if self.last_success_at else WAITING


@dataclass(frozen=True, slots=True)
class _Call:
    feed: Feed
    mints: tuple[str, ...]
    lane: Lane


class Poller:
    """Asks feeds, believes or doubts, publishes. `round()` may be called from any thread; rounds never overlap."""

    def __init__(
        self, feeds: Sequence[Feed], *, lanes: Callable[[], dict[str, Lane]], publish: Publish, alarm: Alarm
    ) -> None:
        self.feeds = list(feeds)
        self.oracle = SolOracle()
        self.confirmation = Confirmation()
        self.states = {feed.name: FeedState(feed.name) for feed in feeds}
        self.last_round_at = 0.0
        self._lanes = lanes
        self._publish = publish
        self._alarm = alarm
        self._asked: dict[str, float] = {}
        self._round = threading.Lock()
        self._note = threading.Lock()
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="prices-feed")
        self._confirmed_at = 0.0
        self._is_closed = False

    def round(self) -> bool:
        """Poll all watched mints once; False when a round is running already."""
        if self._is_closed or not self._round.acquire(blocking=False):
            return False
        try:
            self.last_round_at = time.monotonic()
            lanes = self._lanes()
            for feed in self.feeds:
                for mint in feed.mints():
                    lanes.setdefault(mint, Lane.SIGNALS)
            lanes.pop(money.SOL_MINT, None)
            self._asked = {mint: at for mint, at in self._asked.items() if mint in lanes}
            self._ask_in_order(lanes)
            self._confirm(lanes)
            self.settle()
        finally:
            self._round.release()
        return True

    def ask(self, mints: Sequence[str], lane: Lane) -> None:
        """Ask the feeds about `mints` now, beside any round; what they answer is published."""
        if not self._is_closed:
            self._ask_in_order(dict.fromkeys(mints, lane))

    def look_again(self) -> None:
        """Ask the source of a jump once more where the pace of the rounds brings no next poll before the jump counts.

        Waits for no answer: it counts when it comes.
        """
        now = time.monotonic()
        jumps = [t for t in self.confirmation.doubted() if now - self._asked.get(t.mint, 0.0) >= LOOK_AGAIN_SECONDS]
        lanes = self._lanes() if jumps else {}
        for feed in self.feeds:
            mints = [jump.mint for jump in jumps if jump.source == feed.name and jump.mint in lanes]
            for call in self._calls(feed, mints, lanes) if mints else ():
                try:
                    feed.spend(call.lane)
                except FeedFailure as failure:
                    self._failed(feed, failure)
                    break
                self._asked.update(dict.fromkeys(call.mints, now))
                self._pool.submit(self._run, call)

    def settle(self) -> None:
        """What time brings about: jumps that have waited long enough count, SOL sources are compared."""
        now = clock.now()
        if due := self.confirmation.release(now=now):
            self._publish(due)
        dispute = self.oracle.dispute(now=now)
        detail: dict[str, object] | None = None
        if dispute is not None:
            detail = {tick.source: money.text(tick.price_usd) for tick in dispute if tick.price_usd is not None}
        self._alarm("SOL_USD_DISPUTED", "sol_usd", detail)

    def take_sol(self, tick: PriceTick) -> None:
        """SOL/USD from a source; publishes the one that counts."""
        self.oracle.take(tick)
        best = self.oracle.best(now=clock.now())
        if best is not None and best is tick:
            self._publish([best])

    def close(self) -> None:
        """Stop asking once the round that runs is over; calls under way end by their deadline."""
        self._is_closed = True
        with self._round:
            pass
        self._pool.shutdown(wait=False, cancel_futures=True)
        for feed in self.feeds:
            feed.close()

    def _ask_in_order(self, lanes: dict[str, Lane]) -> None:
        asked = dict(self._asked)
        wanted = sorted(lanes, key=lambda mint: (RANK[lanes[mint]], asked.get(mint, 0.0)))
        for position, feed in enumerate(self.feeds):
            if not wanted and position > 0:
                return
            answered, is_spent = self._ask(feed, wanted, lanes)
            wanted = [mint for mint in wanted if mint not in answered]
            if is_spent and position + 1 < len(self.feeds):
                known, now = self.confirmation.last(wanted), clock.now()
                wanted = [m for m in wanted if m not in known or now - known[m].observed_at > SECOND_FEED_AFTER]

    def _ask(self, feed: Feed, mints: Sequence[str], lanes: dict[str, Lane]) -> tuple[set[str], bool]:
        """Mints that `feed` had a word on in time, and whether its budget ran out on the way."""
        futures, is_spent = [], False
        for call in self._calls(feed, mints, lanes):
            try:
                feed.spend(call.lane)
            except FeedFailure as failure:
                self._failed(feed, failure)
                is_spent = True
                break
            futures.append(self._pool.submit(self._run, call))
        done, _late = wait(futures, timeout=FIRST_WORD_SECONDS if feed is not self.feeds[-1] else ANSWER_SECONDS)
        return {mint for future in done for mint in future.result()}, is_spent

    def _calls(self, feed: Feed, mints: Sequence[str], lanes: dict[str, Lane]) -> Iterable[_Call]:
        """Batches, most urgent first; without any mint one call, for SOL."""
        for at in range(0, max(1, len(mints)), feed.batch_max):
            batch = tuple(mints[at : at + feed.batch_max])
            yield _Call(feed, batch, min((lanes[m] for m in batch), key=RANK.__getitem__, default=Lane.SIGNALS))

    def _run(self, call: _Call) -> set[str]:
        """One call from asking to publishing; a jump that waits for the next source is not answered yet."""
        try:
            answer = call.feed.prices(call.mints, lane=call.lane)
        except FeedFailure as failure:
            self._failed(call.feed, failure)
            return set()
        self._worked(call.feed, answer)
        # What is no price (`rejected`) proves nothing about a token: neither that it has one nor that it has none.
        mints = [mint for mint in call.mints if mint not in answer.rejected]
        absence.note(call.feed.name, asked=mints, priced=[tick.mint for tick in answer.ticks])
        started = time.monotonic()
        for mint in call.mints:
            self._asked[mint] = started
        if answer.sol_usd is not None:
            self.take_sol(answer.sol_usd)
        if accepted := self.confirmation.accept(answer.ticks, now=clock.now()):
            self._publish(accepted)
        return {tick.mint for tick in answer.ticks} - set(self.confirmation.suspects())

    def _confirm(self, lanes: dict[str, Lane]) -> None:
        """Compare live holdings with the second source now and then; a difference above 3 % is an alarm."""
        if len(self.feeds) < 2 or time.monotonic() - self._confirmed_at < CONFIRM_EVERY_SECONDS:
            return
        live = [mint for mint, lane in lanes.items() if lane is Lane.LIVE][: self.feeds[1].batch_max]
        if not live:
            return
        self._confirmed_at = time.monotonic()
        future: Future[None] = self._pool.submit(self._compare, live)
        wait([future], timeout=FIRST_WORD_SECONDS)

    def _compare(self, mints: Sequence[str]) -> None:
        try:
            self.feeds[1].spend(Lane.BACKGROUND)
            answer = self.feeds[1].prices(mints, lane=Lane.BACKGROUND)
        except FeedFailure as failure:
            self._failed(self.feeds[1], failure)
            return
        known = self.confirmation.last(mints)
        for tick in answer.ticks:
            first = known.get(tick.mint)
            if first is None or first.source == tick.source:
                continue
            detail: dict[str, object] | None = None
            if differ(tick.price_sol, first.price_sol, DIFFERENCE_SHARE):
                detail = {first.source: money.text(first.price_sol), tick.source: money.text(tick.price_sol)}
            self._alarm("PRICE_SOURCES_DIFFER", tick.mint, detail)

    def _worked(self, feed: Feed, answer: Answer) -> None:
        with self._note:
            state = self.states[feed.name]
            state.rounds += 1
            state.answered += len(answer.ticks)
            state.rejected += len(answer.rejected)
            state.failures_in_a_row = 0
            state.last_success_at = clock.now()
        for mint, reason in answer.rejected.items():
            log.warning("%s: %s rejected, %s", feed.name, mint, reason)
        self._alarm("PRICE_FEED_DOWN", feed.name, None)

    def _failed(self, feed: Feed, failure: FeedFailure) -> None:
        with self._note:
            state = self.states[feed.name]
            state.last_failure_at, state.last_failure = clock.now(), str(failure)
            if failure.code == "budget":
                return
            state.failures_in_a_row += 1
            row = state.failures_in_a_row
        log.info("feed %s gave no answer: %s", feed.name, failure)
        if row >= FAILURES_TO_ALARM:
            self._alarm("PRICE_FEED_DOWN", feed.name, {"failure": str(failure)})
