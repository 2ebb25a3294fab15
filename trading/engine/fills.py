"""Booking of sales as a set: each table by one statement, whatever the number of orders; one order is a set of one.

The caller is inside a transaction, holds the paths of the orders (`locks.order_paths`), and appends the events last.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection

from nexgent import money, rows
from nexgent.money import SOL_MINT
from trading.engine import booking, positions
from trading.models import Fill, Order, Position, Purpose, Side, State
from trading.rules import apply as apply_rules
from trading.rules.market import Quote
from trading.rules.position import PositionState, Sold
from trading.venues.protocol import quote_json
from wallets import services as wallets
from wallets.models import AccountKind, EntryKind


@dataclass(frozen=True, slots=True)
class Sale:
    """An executed sale, ready to be booked."""

    order: Order
    position: Position
    state: PositionState
    quote: Quote
    sol_usd: Decimal | None


_ORDER_CHANGES = ("id", "state", "final_at", "lease_owner", "lease_until", "quote", "stages", "amount", "plan")
_POSITION_CHANGES = (
    "id",
    "version",
    "updated_at",
    "remaining_units",
    "cost_lamports",
    "received_lamports",
    "realised_lamports",
    "rent_lamports",
    "levels_hit",
    "moon_bag_active",
    "moon_bag_units",
    "exit_failures",
    "exit_not_before",
    "last_take_profit_at",
    "closed_at",
    "close_reason",
    "sol_usd_at_close",
)
_CANCEL_BUYS = """
WITH waiting AS (
    SELECT id FROM trading_order WHERE position_id = ANY(%s) AND side = 0 AND state IN (0, 1)
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE trading_order o SET state = %s, error_code = 'POSITION_CLOSING', final_at = %s, lease_owner = NULL,
    lease_until = NULL
FROM waiting WHERE o.id = waiting.id RETURNING o.id
"""


def book_sales(sales: Sequence[Sale], *, at: datetime) -> list[PositionState]:
    """Book executed sales; the states after them. A sale of everything brings the rent deposit back and closes the
    position.

    While a buy is on the wire the position stays open without units: what it brings is sold by the same exit.
    """
    if not sales:
        return []
    _cancel_buys([sale.position.id for sale in sales if sale.order.plan["isFull"]], at)
    states = [_sold(sale, at) for sale in sales]
    awaited = _awaited([sale.position.id for sale, after in zip(sales, states, strict=True) if after.is_closed])
    drafts, fills, after_all = [], [], []
    for sale, sold in zip(sales, states, strict=True):
        is_awaited = sale.position.id in awaited
        rent_back = sale.state.rent_lamports if sold.is_closed else 0
        after = replace(sold, rent_lamports=0) if is_awaited else sold
        drafts.append(_draft(sale, rent_back, at))
        fills.append(_fill(sale, after, at))
        _change(sale, after, at=at, is_closed=after.is_closed and not is_awaited)
        after_all.append(after)
    rows.update(Order, _ORDER_CHANGES, [_order_row(sale.order) for sale in sales]).close()
    rows.insert(Fill, booking.FILL_COLUMNS, fills)
    wallets.post(drafts)
    rows.update(
        Position, _POSITION_CHANGES, [tuple(getattr(s.position, name) for name in _POSITION_CHANGES) for s in sales]
    ).close()
    for sale, after in zip(sales, after_all, strict=True):
        if sale.position.closed_at is None:
            positions.raise_watermark(sale.position.id, after, at=at)
        booking.publish_changed(sale.position.id)
    return after_all


def _cancel_buys(position_ids: Sequence[UUID], at: datetime) -> None:
    """Cancel what has not been submitted on the buy side of closing positions."""
    if not position_ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(_CANCEL_BUYS, [list(position_ids), State.CANCELLED, at])
        cancelled = [row[0] for row in cursor.fetchall()]
    wallets.release(cancelled)


def _awaited(position_ids: Sequence[UUID]) -> Collection[UUID]:
    """Which of these have a buy on the wire."""
    if not position_ids:
        return ()
    on_the_wire = Order.objects.filter(position_id__in=position_ids, side=Side.BUY, state=State.SUBMITTED)
    return set(on_the_wire.values_list("position_id", flat=True))


def _sold(sale: Sale, at: datetime) -> PositionState:
    quote, plan = sale.quote, sale.order.plan
    received = quote.amount_out - quote.protocol_fee_lamports - quote.network_fee_lamports
    sold = Sold(quote.amount_in, received, at, plan.get("levels", 0), plan.get("moonBagUnits"))
    return apply_rules.apply(sale.state, sold)


def _draft(sale: Sale, rent_back: int, at: datetime) -> wallets.Draft:
    order, quote = sale.order, sale.quote
    fee = quote.network_fee_lamports + quote.protocol_fee_lamports
    lines = (
        wallets.Line(order.token_id, AccountKind.OWN, -quote.amount_in),
        wallets.Line(order.token_id, AccountKind.MARKET, quote.amount_in),
        wallets.Line(SOL_MINT, AccountKind.OWN, quote.amount_out - fee),
        wallets.Line(SOL_MINT, AccountKind.MARKET, -quote.amount_out),
        wallets.Line(SOL_MINT, AccountKind.FEES, fee),
        *booking.rent_return(rent_back),
    )
    return wallets.Draft(
        wallet_id=order.wallet_id,
        kind=EntryKind.SWAP,
        at=at,
        lines=lines,
        order_id=order.id,
        epoch=sale.position.wallet.epoch,
    )


def _fill(sale: Sale, after: PositionState, at: datetime) -> tuple[object, ...]:
    quote = sale.quote
    return (
        sale.order.id,
        quote.amount_in,
        quote.amount_out,
        quote.protocol_fee_lamports,
        quote.network_fee_lamports,
        quote.rent_lamports,
        money.price_of(quote.amount_out, quote.amount_in, sale.position.decimals),
        quote.price_impact,
        sale.state.cost_lamports - after.cost_lamports,
        after.realised_lamports - sale.state.realised_lamports,
        sale.sol_usd,
        at,
    )


def _change(sale: Sale, after: PositionState, *, at: datetime, is_closed: bool) -> None:
    """Bring order and position in memory to what is written."""
    order, position = sale.order, sale.position
    order.state, order.final_at = State.FILLED, at
    order.lease_owner = order.lease_until = None
    order.quote = quote_json(sale.quote)
    order.stages = order.stages | {"filled": booking.stamp(at)}
    positions.take(position, after, at=at)
    position.exit_failures, position.exit_not_before = 0, None
    if order.plan.get("levels"):
        position.last_take_profit_at = at
    if is_closed:
        position.closed_at, position.close_reason = at, Purpose(order.purpose).label
        position.sol_usd_at_close = sale.sol_usd


def _order_row(order: Order) -> tuple[object, ...]:
    return tuple(getattr(order, name) for name in _ORDER_CHANGES)
