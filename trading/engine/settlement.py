"""What an execution changes: fills booked as a set, refusals with their back-off, and what the same tick asks for
next.

Everything happens inside the caller's transaction with the paths of the orders locked. What comes after all orders (new
orders, then events) is gathered and written once, because events are the last write of a transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nexgent import clock
from nexgent.errors import Refusal
from nexgent.events import alarms
from nexgent.events import services as events
from trading import live
from trading.engine import booking, fills, orders, succession
from trading.engine.dca import postpone
from trading.engine.work import Work, state_at
from trading.models import Order, Position, Side, State
from trading.rules import retry
from trading.rules.position import PositionState
from wallets import services as wallets
from wallets.models import Wallet

ALARM_AT_FAILURES = 3


@dataclass(slots=True)
class Aftermath:
    """What follows from a set of orders, written last and together."""

    intents: list[orders.Intent] = field(default_factory=list)
    told: list[events.NewEvent] = field(default_factory=list)

    def write(self) -> None:
        succession.plan(self.intents, at=clock.now())
        events.append(self.told)


def book(works: Sequence[Work], aftermath: Aftermath) -> None:
    """Book the fills of executed orders (their `quote`) and gather what comes next.

    In the order of the positions, as the price engine saves their watermarks: neither then waits for the other's.
    """
    if not works:
        return
    works = sorted(works, key=lambda work: work.order.id if work.position is None else work.position.id)
    now = clock.now()
    booking.publish_filled([work.order.id for work in works])
    _book_entries([work for work in works if work.position is None], aftermath, now)
    sales: list[tuple[Work, Position, int]] = []
    for work in works:
        if work.position is None:
            continue
        if work.order.side == Side.BUY:
            _book_dca(work, work.position, aftermath, now)
        else:
            sales.append((work, work.position, work.position.exit_failures))
    booked = [
        fills.Sale(work.order, position, state_at(work.order, position), _quote(work), work.market.sol_usd)
        for work, position, _ in sales
    ]
    for (work, position, failures), after in zip(sales, fills.book_sales(booked, at=now), strict=True):
        if not after.is_closed:
            after = _follow(work, position, after, aftermath, now)
        if failures >= ALARM_AT_FAILURES:
            alarms.clear("EXIT_FAILING", subject=str(position.id), at=now)
        aftermath.told.append(_updated(work, position, after, now))


def _quote(work: Work) -> Any:
    assert work.quote is not None
    return work.quote


def _updated(work: Work, position: Position, state: PositionState, at: datetime) -> events.NewEvent:
    order = work.order
    return live.position_event(position, state, kind="position_updated", at=at, known=_seen(work), order_id=order.id)


def _seen(work: Work) -> live.Seen | None:
    """The tick that a fill rests on: the order's own, or a newer one that was read for its execution."""
    order, latest = work.order, work.market.latest
    if latest is not None and (order.price_at is None or latest.observed_at > order.price_at):
        return live.Seen(latest.price_sol, latest.observed_at, work.market.sol_usd)
    if order.price is None or order.price_at is None:
        return None
    return live.Seen(order.price, order.price_at, work.market.sol_usd)


def _follow(work: Work, position: Position, state: PositionState, aftermath: Aftermath, now: datetime) -> PositionState:
    after, intent = succession.follow(position, state, work.order, at=now, sold=_quote(work).amount_in)
    if intent is not None:
        aftermath.intents.append(intent)
    return after


def _book_entries(works: Sequence[Work], aftermath: Aftermath, now: datetime) -> None:
    if not works:
        return
    epochs = dict(Wallet.objects.filter(id__in=[w.order.wallet_id for w in works]).values_list("id", "epoch"))
    openings = []
    for work in works:
        order, market = work.order, work.market
        symbol, epoch = order.plan.get("symbol", ""), epochs[order.wallet_id]
        opening = booking.Opening(order, _quote(work), work.policy, symbol, market.decimals, epoch, market.sol_usd)
        order.position_id = opening.position_id
        booking.fill_order(order, opening.quote, at=now)
        openings.append(opening)
    aftermath.told += booking.open_positions(openings, at=now)


def _book_dca(work: Work, position: Position, aftermath: Aftermath, now: datetime) -> None:
    order, state = work.order, state_at(work.order, position)
    after = booking.book_dca(
        order,
        position,
        state,
        _quote(work),
        policy=work.policy,
        at=now,
        epoch=position.wallet.epoch,
        sol_usd=work.market.sol_usd,
    )
    if state.is_closed:  # everything was sold while the buy was on its way
        aftermath.intents.append(succession.late_sale(position, after))
    else:
        after = _follow(work, position, after, aftermath, now)
    aftermath.told.append(_updated(work, position, after, now))


def refuse(order: Order, position: Position | None, refusal: Refusal, aftermath: Aftermath) -> None:
    """Book a refusal: the order fails, a stop tries again with back-off, a DCA waits."""
    now = clock.now()
    orders.end(order, State.FAILED, code=refusal.code, at=now, detail={"message": refusal.message})
    wallets.release([order.id])
    aftermath.told.append(live.order_event(order, at=now))
    if position is None:
        return
    if order.side == Side.BUY:
        postpone(position, at=now)
    else:
        _retry(order, position, aftermath, now)
    if position.remaining_units == 0:
        booking.close_emptied(position, at=now)
        state = state_at(order, position)
        aftermath.told.append(live.position_event(position, state, kind="position_updated", at=now, known=None))
    booking.touch(position.id)


def _retry(order: Order, position: Position, aftermath: Aftermath, now: datetime) -> None:
    position.exit_failures += 1
    position.exit_not_before = now + retry.retry_after(position.exit_failures)
    position.save(update_fields=["exit_failures", "exit_not_before"])
    if position.exit_failures >= ALARM_AT_FAILURES:
        alarms.raise_alarm(
            "EXIT_FAILING",
            subject=str(position.id),
            detail={"failures": position.exit_failures, "code": order.error_code, "orderId": str(order.id)},
            workspace_id=position.workspace_id,
            agent_id=position.agent_id,
            at=now,
        )
    if succession.is_stubborn(order):
        aftermath.intents.append(
            succession.again(
                order, position, state_at(order, position), units=order.amount, not_before=position.exit_not_before
            )
        )
