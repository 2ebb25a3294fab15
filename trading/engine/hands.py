"""Orders in hand: the way of each through the steps of its execution, in sets where the database is asked, alone where
a venue is.

begin (set) -> quote (call) -> submit (set) -> send (call) -> wait (nobody) -> resolve (call) -> settle (set). A set
that fails is done again order by order, so that a bad order spoils no other; a set whose locks somebody holds goes on
without those orders, which try again and then wait alone.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, connections

from nexgent import clock
from nexgent.errors import Refusal
from nexgent.events import alarms
from trading.engine import executor
from trading.engine.calls import CALLS_PER_VENUE_MAX, Calls
from trading.engine.lanes import Lane
from trading.engine.leases import Claimed
from trading.engine.market import MarketFacts
from trading.engine.points import reach
from trading.engine.work import Result, Work
from trading.models import Order, State

log = logging.getLogger(__name__)
LANES = 2
TRIES_MAX = 3
"""So often a set tries for locks that somebody holds; then the order waits for them alone."""
TRY_AGAIN_SECONDS = 0.02
_SUBMIT, _BEGIN, _SETTLE = range(3)  # what lets a call begin goes first


@dataclass(slots=True, eq=False)
class _Hand:
    """One order, with what its next step needs."""

    claimed: Claimed
    market: MarketFacts
    work: Work | None = None
    result: Result | None = None
    tries: int = 0


_Step = Callable[..., None]


class Hands:
    """The orders that this process executes now."""

    def __init__(
        self, name: str, owner: UUID, *, threads: int, set_max: int, on_room: Callable[[], None] = lambda: None
    ) -> None:
        self.ids: set[UUID] = set()
        self.failures: Counter[str] = Counter()
        self.venue_most = min(threads, CALLS_PER_VENUE_MAX)
        self._owner = owner
        self._threads = threads
        self._on_room = on_room
        self._active: dict[UUID, str] = {}
        """Orders that need a thread now or soon, with their venues; the others only wait to land."""
        self._changing = threading.Lock()
        self._calls = Calls(name, threads=threads, most=self.venue_most)
        steps = (self._submit, self._begin, self._settle)
        self._lanes = [Lane(f"{name}-lane-{number}", steps, most=set_max) for number in range(LANES)]

    def start(self) -> None:
        """Begin the threads that every order needs. Raises `RuntimeError` when the system has none to give."""
        self._calls.start()
        for lane in self._lanes:
            lane.start()

    def stop(self) -> None:
        """Begin nothing more; the leases of what is in hand expire."""
        self._calls.stop()
        for lane in self._lanes:
            lane.stop()

    def room(self) -> tuple[int, list[str]]:
        """How many orders may be claimed so that every venue stays within its limit, and the venues that are full."""
        with self._changing:
            busy = Counter(self._active.values())
        full = [profile for profile, number in busy.items() if number >= self.venue_most]
        busiest = max((number for profile, number in busy.items() if profile not in full), default=0)
        return min(self._threads - sum(busy.values()), self.venue_most - busiest), full

    def waiting(self) -> int:
        """Orders that wait to land."""
        return len(self.ids) - len(self._active)

    def take(self, claimed: Sequence[Claimed], markets: dict[str, MarketFacts]) -> None:
        """Start claimed orders. One whose market could not be read asks for it itself."""
        with self._changing:
            self.ids.update(one.order_id for one in claimed)
            self._active.update((one.order_id, one.profile) for one in claimed)
        ready: dict[Lane, list[_Hand]] = {}
        for one in claimed:
            if one.mint in markets:
                ready.setdefault(self._lane(one), []).append(_Hand(one, markets[one.mint]))
            else:
                self._calls.alone(self._unattended(one))
        for lane, hands in ready.items():
            lane.put(_BEGIN, hands)

    def _lane(self, one: Claimed) -> Lane:
        return self._lanes[one.wallet_id.int % LANES]

    def _unattended(self, one: Claimed) -> Callable[[], None]:
        def run() -> None:
            try:
                executor.execute(one.order_id, self._owner)
                self._done(one.order_id)
            except Exception as problem:
                self._stuck(one.order_id, problem)
            finally:
                connection.close()

        return run

    # -- steps of the lanes -----------------------------------------------------------------------------------------

    def _begin(self, hands: list[_Hand], *, is_patient: bool = False) -> None:
        markets = {hand.claimed.order_id: hand.market for hand in hands}
        begun = self._attempt(
            lambda: executor.begin(markets, self._owner, is_patient=is_patient),
            hands,
            self._begin,
            is_patient=is_patient,
        )
        if begun is None:
            return
        works = {work.order.id: work for work in begun.works}
        if works:
            reach("order_begun")
        if len(works) + len(begun.left) < len(hands):
            reach("order_finished_at_once")
        for hand in hands:
            hand.work = works.get(hand.claimed.order_id)
            if hand.work is not None:
                self._go_on(hand, hand.work)
            elif hand.claimed.order_id in begun.left:
                self._try_again(hand, _BEGIN, self._begin)
            else:
                self._done(hand.claimed.order_id)

    def _go_on(self, hand: _Hand, work: Work) -> None:
        hand.tries = 0
        if work.order.state == State.SUBMITTED:
            self._await(hand, work)
        else:
            self._call(hand, self._ask)

    def _submit(self, hands: list[_Hand], *, is_patient: bool = False) -> None:
        works = [hand.work for hand in hands if hand.work is not None]
        ours = self._attempt(lambda: executor.submitted(works, self._owner), hands, self._submit, is_patient=is_patient)
        if ours is None:
            return
        ids = {work.order.id for work in ours}
        for hand in hands:
            if hand.claimed.order_id in ids:
                self._call(hand, self._send)
            else:
                self._done(hand.claimed.order_id)

    def _settle(self, hands: list[_Hand], *, is_patient: bool = False) -> None:
        results = [hand.result for hand in hands if hand.result is not None]
        left = self._attempt(
            lambda: executor.settle(results, self._owner, is_patient=is_patient),
            hands,
            self._settle,
            is_patient=is_patient,
        )
        if left is None:
            return
        for hand in hands:
            if hand.claimed.order_id in left:
                self._try_again(hand, _SETTLE, self._settle)
            else:
                self._done(hand.claimed.order_id)

    def _attempt(self, run: Callable[[], Any], hands: list[_Hand], step: _Step, *, is_patient: bool) -> Any:
        """What `run` answers; None when it failed: then each order does the step alone, and alone it is told."""
        try:
            return run()
        except Exception as problem:
            if is_patient:
                self._stuck(hands[0].claimed.order_id, problem)
                return None
            log.warning("a set of %d orders is done one by one: %s", len(hands), problem)
        for hand in hands:
            self._alone(hand, step)
        return None

    def _alone(self, hand: _Hand, step: _Step) -> None:
        def run() -> None:
            try:
                step([hand], is_patient=True)
            finally:
                connection.close()

        self._calls.alone(run)

    def _try_again(self, hand: _Hand, number: int, step: _Step) -> None:
        hand.tries += 1
        if hand.tries >= TRIES_MAX:
            self._alone(hand, step)
        else:
            lane = self._lane(hand.claimed)
            self._calls.after(TRY_AGAIN_SECONDS * hand.tries, lambda: lane.put(number, [hand]))

    # -- calls of venues --------------------------------------------------------------------------------------------

    def _call(self, hand: _Hand, step: Callable[[_Hand, Work], None]) -> None:
        """Do a step of one order in a thread of its own, within its venue's limit."""

        def run() -> None:
            assert hand.work is not None
            try:
                step(hand, hand.work)
            except Refusal as refusal:
                self._finish(hand, Result(hand.claimed.order_id, hand.market, refusal))
            except Exception as problem:
                self._stuck(hand.claimed.order_id, problem)
            finally:
                connections.close_all()  # of a thread that asked a venue only there is none

        self._calls.venue(hand.claimed.profile, run)

    def _ask(self, hand: _Hand, work: Work) -> None:
        executor.ask(work)
        self._lane(hand.claimed).put(_SUBMIT, [hand])

    def _send(self, hand: _Hand, work: Work) -> None:
        executor.send(work)
        if executor.seconds_until_due(work) > 0:
            self._await(hand, work)
        else:
            self._resolve(hand, work)

    def _resolve(self, hand: _Hand, work: Work) -> None:
        self._finish(hand, executor.resolve(work))

    def _await(self, hand: _Hand, work: Work) -> None:
        """Have a submitted order resolved once it is due; no thread waits for that."""
        seconds = executor.seconds_until_due(work)
        if seconds <= 0:
            self._land(hand, work)
            return
        with self._changing:
            self._active.pop(hand.claimed.order_id, None)
        self._on_room()

        def land() -> None:
            with self._changing:
                self._active[hand.claimed.order_id] = hand.claimed.profile
            self._land(hand, work)

        self._calls.after(seconds, land)

    def _land(self, hand: _Hand, work: Work) -> None:
        if not work.venue.is_local:
            self._call(hand, self._resolve)
            return
        try:
            self._finish(hand, executor.resolve(work))
        except Exception as problem:  # in the thread that lets all others land
            self._stuck(hand.claimed.order_id, problem)

    def _finish(self, hand: _Hand, result: Result) -> None:
        hand.result, hand.tries = result, 0
        self._lane(hand.claimed).put(_SETTLE, [hand])

    # -- ends -------------------------------------------------------------------------------------------------------

    def _done(self, order_id: UUID) -> None:
        with self._changing:
            self._active.pop(order_id, None)
            self.ids.discard(order_id)
        self._on_room()

    def _stuck(self, order_id: UUID, problem: Exception) -> None:
        """The order stays as it is: its lease expires and it is tried again. The alarm makes it visible."""
        self.failures[type(problem).__name__] += 1
        log.error("order not executed", extra={"order_id": str(order_id)}, exc_info=problem)
        try:
            whose = Order.objects.filter(id=order_id).values("workspace_id", "agent_id").first() or {}
            detail = {"problem": type(problem).__name__}
            alarms.raise_alarm("ORDER_STUCK", subject=str(order_id), detail=detail, at=clock.now(), **whose)
        except DatabaseError as down:
            log.warning("alarm not written: %s", down)
        finally:
            self._done(order_id)
