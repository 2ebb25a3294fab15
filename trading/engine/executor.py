"""Execution of one order: verify under lock, quote, submit, resolve, book. Safe to run twice and to die anywhere.

Where nothing leaves the process and nothing takes time (simulated, profile `ideal`), all of it is one transaction. Else
each step is durable before the next: what a dead process left behind is an expired lease, and whoever claims the order
goes on where the row says it stands.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from agents import selectors as agents
from nexgent import clock
from nexgent.clock import TapeClock
from nexgent.errors import Refusal
from nexgent.events import alarms
from nexgent.events import services as events
from trading import live
from trading.engine import booking, locks, orders, outside, positions, succession
from trading.engine import market as markets
from trading.engine.dca import postpone, size_dca
from trading.engine.market import MarketFacts
from trading.engine.points import reach
from trading.engine.quoting import quote_buy
from trading.models import Order, Position, Purpose, Side, State
from trading.rules import impact
from trading.rules.decision import Hold, Sell
from trading.rules.market import Outcome, Quote
from trading.rules.policy import Policy
from trading.rules.position import PositionState, Tick
from trading.venues.protocol import Request, Venue, quote_json, quote_of
from trading.venues.registry import venue_of
from wallets import services as wallets
from wallets.models import Wallet

log = logging.getLogger(__name__)
ALARM_AT_FAILURES = 3
_STUBBORN = frozenset({Purpose.STOP_LOSS, Purpose.SIGNAL, Purpose.TAPE_END})
"""Purposes whose failed exit plans its next ordinal at once, on the stored tick: a later price never cancels a stop."""


@dataclass(slots=True)
class Work:
    """One claimed order with what its execution needs; `position` is None for an entry."""

    order: Order
    policy: Policy
    venue: Venue
    market: MarketFacts
    position: Position | None = None
    quote: Quote | None = None


def execute(order_id: UUID, owner: UUID, market: MarketFacts | None = None) -> None:
    """Bring one claimed order to its end; raises only what is not the order's own refusal.

    `market` is what the caller has just read about the order's token, for many orders at once.
    """
    if market is None:
        market = market_of([order_id])[order_id]
    work = _begin(order_id, owner, market)
    if work is None:
        reach("order_finished_at_once")
        return
    reach("order_begun")
    try:
        if work.order.state != State.SUBMITTED:
            with outside():
                quote = _gated_quote(work)
            reach("quoted")
            if not _submitted(work, quote, owner):
                return
            reach("submitted_committed")
            with outside():
                work.venue.submit(_request(work), quote)
            reach("venue_called")
        assert work.quote is not None
        with outside():
            _wait_for(work.order.lands_at)
            final = work.venue.resolve(_request(work, amount=work.quote.amount_in), work.quote)
    except Refusal as refusal:
        _fail(order_id, owner, refusal)
        return
    reach("resolved")
    _settle(order_id, owner, final, market)
    reach("settled")


def market_of(order_ids: Sequence[UUID]) -> dict[UUID, MarketFacts]:
    """The market of each order's token."""
    mints = dict(Order.objects.filter(id__in=order_ids).values_list("id", "token_id"))
    known = markets.read(sorted(set(mints.values())), now=clock.now())
    return {order_id: known[mint] for order_id, mint in mints.items() if mint in known}


@locks.unit_of_work
@transaction.atomic
def _begin(order_id: UUID, owner: UUID, market: MarketFacts) -> Work | None:
    """Lock, decide again on the stored tick, and for an immediate venue finish at once; None when nothing is left."""
    found = _locked(order_id, owner)
    if found is None:
        return None
    order, position = found
    if order.state == State.SUBMITTED:
        return _work(order, position, market)
    try:
        if position is not None and not _still_true(order, position, market):
            return None
        work = _work(order, position, market)
        if work.venue.is_local:
            quote = _gated_quote(work)
            if quote.delay_ms == 0 and quote.outcome is Outcome.OK:
                order.stages = order.stages | dict.fromkeys(("quoted", "submitted"), booking.stamp(clock.now()))
                _book(work, quote)
                return None
    except Refusal as refusal:
        _refused(order, position, refusal)
        return None
    return work


def _locked(order_id: UUID, owner: UUID) -> tuple[Order, Position | None] | None:
    locks.order_path(order_id)
    order = Order.objects.get(id=order_id)
    if order.lease_owner != owner or order.state >= State.FILLED:
        return None
    return order, (
        None
        if order.position_id is None
        else Position.objects.select_related("watermark", "agent", "wallet").get(id=order.position_id)
    )


def _work(order: Order, position: Position | None, market: MarketFacts) -> Work:
    policy = agents.policy(order.config_id) if position is None else positions.policy_of(position)
    quote = quote_of(order.quote) if order.state == State.SUBMITTED and order.quote else None
    return Work(order, policy, venue_of(order.profile), market, position, quote)


def state_at(order: Order, position: Position) -> PositionState:
    """The position with the highest extremes known to the order and to the row."""
    state = positions.state_of(position)
    peak, stop_percent = state.peak, state.stop_percent
    if order.peak is not None and order.plan.get("generation", position.generation) == position.generation:
        peak = max(peak, order.peak)
        stop_percent = max(stop_percent, order.stop_percent if order.stop_percent is not None else stop_percent)
    low = state.low if order.price is None else min(state.low, order.price)
    return replace(state, peak=peak, stop_percent=stop_percent, low=low)


def _still_true(order: Order, position: Position, market: MarketFacts) -> bool:
    """Decide again on the stored tick; brings the amount up to date, or ends the order and plans what is true now."""
    if position.closed_at is not None:
        orders.end(order, State.CANCELLED, code="POSITION_CLOSED", at=clock.now())
        wallets.release([order.id])
        return False
    if order.purpose == Purpose.DCA:
        return size_dca(order, position, state_at(order, position), market)
    if order.purpose in succession.BY_PERSON or order.plan["part"] > 1:
        order.amount = position.remaining_units if order.plan["isFull"] else min(order.amount, position.remaining_units)
        order.plan["isFull"] = order.amount == position.remaining_units
        if order.plan["part"] == 1:
            order.plan["exitUnits"] = order.amount
        return True
    state = state_at(order, position)
    decision = succession.decide_on(position, state, order)
    command = decision.command
    if isinstance(command, Sell) and orders.PURPOSE_OF_RULE[command.rule] == order.purpose:
        order.amount = command.units
        order.plan = orders.plan_of(
            orders.Intent(position, state, command, Purpose(order.purpose), orders.tick_of(order), order.ordinal)
        )
        return True
    orders.end(order, State.CANCELLED, code="NO_LONGER_TRUE", at=clock.now())
    if not isinstance(command, Hold):
        succession.follow(position, state, order, at=clock.now())
    booking.touch(position.id)
    return False


def _request(work: Work, *, amount: int | None = None) -> Request:
    order, latest = work.order, work.market.latest
    tick = orders.tick_of(order)
    if latest is not None and latest.observed_at > tick.at:
        tick = Tick(latest.price_sol, latest.observed_at, latest.source)
    return Request(
        order_id=order.id,
        is_buy=order.side == Side.BUY,
        mint=order.token_id,
        decimals=work.market.decimals,
        amount=order.amount if amount is None else amount,
        price=tick.price,
        price_at=tick.at,
        seed=order.seed,
        depth_lamports=work.market.depth_lamports,
        opens_account=order.position_id is None,
        is_manual=order.purpose == Purpose.MANUAL,
    )


def _gated_quote(work: Work) -> Quote:
    """A quote that passes the impact gate: buys shrink or are refused, sales split into parts, never refused."""
    limit, order = work.policy.limits.max_price_impact, work.order
    if order.side == Side.BUY:
        return quote_buy(work.venue, _request(work), limit)
    quotes: dict[int, Quote] = {}

    def ask(units: int) -> Quote:
        if units not in quotes:
            quotes[units] = work.venue.quote(_request(work, amount=units))
        return quotes[units]

    units = impact.exit_part(
        order.plan["exitUnits"], order.amount, limit, lambda units: ask(units).price_impact, part=order.plan["part"]
    )
    return ask(units)


@locks.unit_of_work
def _submitted(work: Work, quote: Quote, owner: UUID) -> bool:
    """Make the submission durable before anything is sent; False when the order is no longer ours.

    One conditional statement: whoever waited for the row looks at it again.
    """
    order, now = work.order, clock.now()
    changed = {
        "state": State.SUBMITTED,
        "quote": quote_json(quote),
        "amount": order.amount,
        "plan": order.plan,
        "stages": order.stages | dict.fromkeys(("quoted", "submitted"), booking.stamp(now)),
        "lands_at": now + timedelta(milliseconds=quote.delay_ms),
    }
    ours = Order.objects.filter(id=order.id, lease_owner=owner, state__in=(State.PLANNED, State.QUOTED))
    if ours.update(**changed) != 1:
        return False
    for name, value in changed.items():
        setattr(order, name, value)
    work.quote = quote
    return True


def _wait_for(lands_at: datetime | None) -> None:
    """Wait until a submitted order is due; a tape's time stands still, so there is nothing to wait for."""
    if lands_at is None or isinstance(clock.clock, TapeClock):
        return
    remaining = (lands_at - clock.now()).total_seconds()
    if remaining > 0:
        time.sleep(remaining)


@locks.unit_of_work
@transaction.atomic
def _settle(order_id: UUID, owner: UUID, quote: Quote, market: MarketFacts) -> None:
    found = _locked(order_id, owner)
    if found is not None:
        _book(_work(*found, market), quote)
        reach("before_settle_commit")


def _book(work: Work, quote: Quote) -> None:
    """Book a fill and plan what the same tick asks for next; the caller holds the locks."""
    order, position, now = work.order, work.position, clock.now()
    booking.publish_filled([order.id])
    sol_usd = work.market.sol_usd
    if position is None:
        epoch = Wallet.objects.values_list("epoch", flat=True).get(id=order.wallet_id)
        symbol = order.plan.get("symbol", "")
        opening = booking.Opening(order, quote, work.policy, symbol, work.market.decimals, epoch, sol_usd)
        order.position_id = opening.position_id
        booking.fill_order(order, quote, at=now)
        events.append(booking.open_positions([opening], at=now))
        return
    epoch, is_failing = position.wallet.epoch, position.exit_failures >= ALARM_AT_FAILURES
    state = state_at(order, position)
    is_late = order.side == Side.BUY and state.is_closed
    if order.side == Side.BUY:
        after = booking.book_dca(
            order, position, state, quote, policy=work.policy, at=now, epoch=epoch, sol_usd=sol_usd
        )
    else:
        if order.plan["isFull"]:
            booking.cancel_open_buys(position.id, at=now, code="POSITION_CLOSING")
        reason = Purpose(order.purpose).label
        after = booking.book_sale(
            order, position, state, quote, at=now, epoch=epoch, sol_usd=sol_usd, close_reason=reason
        )
    if is_late:
        succession.sell_late(position, after, at=now)
    elif not after.is_closed:
        after = succession.follow(position, after, order, at=now, sold=quote.amount_in)
    if order.side == Side.SELL and is_failing:
        alarms.clear("EXIT_FAILING", subject=str(position.id), at=now)
    events.append([live.position_event(position, after, kind="position_updated", at=now, order_id=order.id)])


@locks.unit_of_work
@transaction.atomic
def _fail(order_id: UUID, owner: UUID, refusal: Refusal) -> None:
    found = _locked(order_id, owner)
    if found is not None:
        _refused(*found, refusal)


def _refused(order: Order, position: Position | None, refusal: Refusal) -> None:
    """Book a refusal: the order fails, a stop tries again with back-off, a DCA waits; the caller holds the locks."""
    now = clock.now()
    detail: dict[str, Any] = {"message": refusal.message}
    orders.end(order, State.FAILED, code=refusal.code, at=now, detail=detail)
    wallets.release([order.id])
    if position is None:
        events.append([live.order_event(order, at=now)])
        return
    if order.side == Side.BUY:
        postpone(position, at=now)
    else:
        _plan_retry(order, position, at=now)
    told = [live.order_event(order, at=now)]
    if position.remaining_units == 0:
        booking.close_emptied(position, at=now)
        told.append(live.position_event(position, state_at(order, position), kind="position_updated", at=now))
    booking.touch(position.id)
    events.append(told)


def _plan_retry(order: Order, position: Position, *, at: datetime) -> None:
    position.exit_failures += 1
    position.exit_not_before = at + orders.retry_after(position.exit_failures)
    position.save(update_fields=["exit_failures", "exit_not_before"])
    if position.exit_failures >= ALARM_AT_FAILURES:
        alarms.raise_alarm(
            "EXIT_FAILING",
            subject=str(position.id),
            detail={"failures": position.exit_failures, "code": order.error_code, "orderId": str(order.id)},
            workspace_id=position.workspace_id,
            at=at,
        )
    if order.purpose in _STUBBORN or order.plan["part"] > 1:  # no rule asks for the rest of a split exit again
        succession.again(
            order,
            position,
            state_at(order, position),
            units=order.amount,
            not_before=position.exit_not_before,
            at=at,
        )
