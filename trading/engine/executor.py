"""Execution of orders: verify under lock, quote, submit, resolve, settle. Safe to run twice and to die anywhere.

The steps that touch the database work on sets of orders; those that leave the process on one. Where nothing leaves it
and nothing takes time (simulated, profile `ideal`), the first step is all. Else each step is durable before the next:
what a dead process left behind is an expired lease, and whoever claims the order goes on where the row says it stands.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from nexgent import clock, rows
from nexgent.clock import TapeClock
from nexgent.errors import Refusal
from trading.engine import booking, due, locks, outside, settlement
from trading.engine import market as markets
from trading.engine.market import MarketFacts
from trading.engine.points import reach
from trading.engine.settlement import Aftermath
from trading.engine.work import Result, Work, gated_quote, request_of, take, work_of
from trading.models import Order, Position, State
from trading.rules.market import Outcome
from trading.venues.protocol import quote_json


@dataclass(slots=True)
class Begun:
    """A set of orders after the first step: those that go on, and those whose locks somebody else held."""

    works: list[Work] = field(default_factory=list)
    left: list[UUID] = field(default_factory=list)


def execute(order_id: UUID, owner: UUID, market: MarketFacts | None = None) -> None:
    """Bring one claimed order to its end, in this thread; raises only what is not the order's own refusal."""
    facts = market or market_of([order_id])[order_id]
    begun = begin({order_id: facts}, owner, is_patient=True)
    if not begun.works:
        reach("order_finished_at_once")
        return
    reach("order_begun")
    result = _carry(begun.works[0], owner)
    if result is not None:
        settle([result], owner, is_patient=True)


def market_of(order_ids: Sequence[UUID]) -> dict[UUID, MarketFacts]:
    """The market of each order's token, read before any lock."""
    mints = dict(Order.objects.filter(id__in=order_ids).values_list("id", "token_id"))
    known = markets.read(sorted(set(mints.values())), now=clock.now())
    return {order_id: known[mint] for order_id, mint in mints.items() if mint in known}


def _carry(work: Work, owner: UUID) -> Result | None:
    """Quote, submit, wait, resolve; None when the order is no longer ours."""
    try:
        if work.order.state != State.SUBMITTED:
            ask(work)
            if not submitted([work], owner):
                return None
            send(work)
    except Refusal as refusal:
        return Result(work.order.id, work.market, refusal)
    if (wait := seconds_until_due(work)) > 0:
        with outside():
            time.sleep(wait)
    return resolve(work)


@locks.unit_of_work
@transaction.atomic
def begin(markets: Mapping[UUID, MarketFacts], owner: UUID, *, is_patient: bool) -> Begun:
    """Lock, decide again on the stored tick, and for a venue in this process quote: an order that fills at once is
    booked, one that takes time is submitted. What goes on is returned.
    """
    pairs, left = take(markets, owner, is_patient=is_patient)
    begun, aftermath = Begun(left=left), Aftermath()
    filled: list[Work] = []
    taking_time: list[Work] = []
    paused = due.paused([order for order, position in pairs if position is None])
    for order, position in pairs:
        try:
            if order.id in paused:
                raise Refusal("AUTOMATED_TRADING_PAUSED", "Automated trading is paused.")
            work = _begun(order, position, markets[order.id], aftermath)
        except Refusal as refusal:
            settlement.refuse(order, position, refusal, aftermath)
            continue
        if work is None:
            continue
        if work.quote is None or order.state == State.SUBMITTED:
            begun.works.append(work)
        else:
            (taking_time if work.quote.delay_ms or work.quote.outcome is not Outcome.OK else filled).append(work)
    for work in filled:
        at = booking.stamp(clock.now())
        work.order.stages = work.order.stages | dict.fromkeys(("quoted", "submitted"), at)
    settlement.book(filled, aftermath)
    begun.works += _submitted(taking_time, owner)
    aftermath.write()
    return begun


def _begun(order: Order, position: Position | None, market: MarketFacts, aftermath: Aftermath) -> Work | None:
    """One order of the set, quoted where that leaves nothing; None when it ended. Raises Refusal."""
    if order.state == State.SUBMITTED:
        return work_of(order, position, market)
    if position is not None and not due.is_due(order, position, market, aftermath):
        return None
    work = work_of(order, position, market)
    if work.venue.is_local:
        work.quote = gated_quote(work)
    return work


def ask(work: Work) -> None:
    """Have a venue outside quote an order. Raises Refusal."""
    with outside():
        work.quote = gated_quote(work)
    reach("quoted")


@locks.unit_of_work
def submitted(works: Sequence[Work], owner: UUID) -> list[Work]:
    """Make submissions durable before anything is sent; returns the orders that are still ours to send."""
    return _submitted(works, owner)


_SUBMITTED = ("id", "state", "quote", "amount", "plan", "stages", "lands_at")
_STILL_OURS = """
AND changed.id IN (SELECT id FROM trading_order WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE)
AND changed.lease_owner = %s AND changed.state IN (0, 1) RETURNING changed.id
"""


def _submitted(works: Sequence[Work], owner: UUID) -> list[Work]:
    """One conditional statement that locks in the order of the ids: whoever waited for a row looks at it again."""
    if not works:
        return []
    now = clock.now()
    changes = {work.order.id: _submission(work, now) for work in sorted(works, key=lambda work: work.order.id)}
    given = list(changes.values())
    with rows.update(Order, _SUBMITTED, given, where=_STILL_OURS, parameters=[list(changes), owner]) as cursor:
        ours = {row[0] for row in cursor.fetchall()}
    for work in works:
        for name, value in zip(_SUBMITTED, changes[work.order.id], strict=True):
            setattr(work.order, name, value)
    return [work for work in works if work.order.id in ours]


def _submission(work: Work, now: datetime) -> tuple[object, ...]:
    order, quote = work.order, work.quote
    assert quote is not None
    stages = order.stages | dict.fromkeys(("quoted", "submitted"), booking.stamp(now))
    lands_at = now + timedelta(milliseconds=quote.delay_ms)
    return (order.id, State.SUBMITTED, quote_json(quote), order.amount, order.plan, stages, lands_at)


def send(work: Work) -> None:
    """Send a submitted order to a venue outside. Raises Refusal."""
    reach("submitted_committed")
    assert work.quote is not None
    with outside():
        work.venue.submit(request_of(work), work.quote)
    reach("venue_called")


def seconds_until_due(work: Work) -> float:
    """How long a submitted order takes to land; a tape's time stands still, so there is nothing to wait for."""
    lands_at = work.order.lands_at
    if lands_at is None or isinstance(clock.clock, TapeClock):
        return 0.0
    return max(0.0, (lands_at - clock.now()).total_seconds())


def resolve(work: Work) -> Result:
    """What became of a submitted order that is due."""
    assert work.quote is not None
    try:
        with outside():
            answer = work.venue.resolve(request_of(work, amount=work.quote.amount_in), work.quote)
    except Refusal as refusal:
        return Result(work.order.id, work.market, refusal)
    reach("resolved")
    return Result(work.order.id, work.market, answer)


def settle(results: Sequence[Result], owner: UUID, *, is_patient: bool) -> list[UUID]:
    """Book what became of a set of orders; returns those whose locks somebody else held."""
    left = _settled({result.order_id: result for result in results}, owner, is_patient=is_patient)
    reach("settled")
    return left


@locks.unit_of_work
@transaction.atomic
def _settled(results: Mapping[UUID, Result], owner: UUID, *, is_patient: bool) -> list[UUID]:
    markets = {order_id: result.market for order_id, result in results.items()}
    pairs, left = take(markets, owner, is_patient=is_patient)
    aftermath = Aftermath()
    filled: list[Work] = []
    for order, position in pairs:
        answer = results[order.id].answer
        if isinstance(answer, Refusal):
            settlement.refuse(order, position, answer, aftermath)
            continue
        work = work_of(order, position, markets[order.id])
        work.quote = answer
        filled.append(work)
    settlement.book(filled, aftermath)
    aftermath.write()
    reach("before_settle_commit")
    return left
