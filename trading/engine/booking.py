"""Booking of fills: what an execution changes, in one transaction.

Each function runs inside the caller's transaction with the locks of `locks.py` held, writes fill, ledger entry,
position and order, and ends with the event. An entry opens positions for a set of orders at once; there is no second
path for one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F

from nexgent import money
from nexgent.events import bell
from nexgent.events import services as events
from nexgent.money import SOL_MINT
from nexgent.rows import insert
from trading import live
from trading.engine import openings, positions, published
from trading.engine.openings import Opening
from trading.models import Fill, Order, Position, Purpose, Side, State
from trading.rules import apply as apply_rules
from trading.rules.market import Quote
from trading.rules.policy import Policy
from trading.rules.position import Bought, PositionState
from trading.venues.protocol import quote_json
from wallets import services as wallets
from wallets.models import AccountKind, EntryKind

POSITIONS_CHANGED = "nexgent:positions"
"""Channel on which ids of changed positions are published after commit; the price engine re-reads them."""


def stamp(at: datetime) -> str:
    """A stage stamp: ISO time, UTC, microseconds."""
    return at.isoformat()


def _buy_lines(mint: str, quote: Quote) -> tuple[wallets.Line, ...]:
    fee, rent = quote.network_fee_lamports, quote.rent_lamports
    lines = [
        wallets.Line(SOL_MINT, AccountKind.OWN, -(quote.amount_in + fee + rent)),
        wallets.Line(SOL_MINT, AccountKind.MARKET, quote.amount_in),
        wallets.Line(mint, AccountKind.OWN, quote.amount_out),
        wallets.Line(mint, AccountKind.MARKET, -quote.amount_out),
    ]
    if fee:
        lines.append(wallets.Line(SOL_MINT, AccountKind.FEES, fee))
    if rent:
        lines.append(wallets.Line(SOL_MINT, AccountKind.RENT, rent))
    return tuple(lines)


def rent_return(lamports: int) -> tuple[wallets.Line, ...]:
    """The lines that bring a rent deposit back when its account is closed."""
    if not lamports:
        return ()
    return (
        wallets.Line(SOL_MINT, AccountKind.OWN, lamports),
        wallets.Line(SOL_MINT, AccountKind.RENT, -lamports),
    )


def _fill_row(order_id: UUID, quote: Quote, price: Decimal, at: datetime, **booked: Any) -> tuple[Any, ...]:
    return (
        order_id,
        quote.amount_in,
        quote.amount_out,
        quote.protocol_fee_lamports,
        quote.network_fee_lamports,
        quote.rent_lamports,
        price,
        quote.price_impact,
        booked.get("cost_lamports", 0),
        booked.get("realised_lamports", 0),
        booked.get("sol_usd"),
        at,
    )


FILL_COLUMNS = (
    "order",
    "amount_in",
    "amount_out",
    "protocol_fee_lamports",
    "network_fee_lamports",
    "rent_lamports",
    "price",
    "price_impact",
    "cost_lamports",
    "realised_lamports",
    "sol_usd",
    "at",
)


def _opened(opening: Opening, *, at: datetime) -> PositionState:
    return apply_rules.open_position(
        fill_lamports=opening.quote.amount_in,
        units=opening.quote.amount_out,
        fee_lamports=opening.quote.network_fee_lamports,
        rent_lamports=opening.quote.rent_lamports,
        decimals=opening.decimals,
        at=at,
        default_stop_percent=opening.policy.stop.default_percent,
        ladder_length=len(opening.policy.ladder.levels),
    )


@dataclass(slots=True)
class Opened:
    """A position that begins now, by the names of `Position` that its event shows."""

    id: UUID
    agent_id: UUID
    wallet_id: UUID
    token_id: str
    symbol: str
    opened_by_id: UUID
    updated_at: datetime
    last_take_profit_at: datetime | None = None
    closed_at: datetime | None = None


def open_positions(given: Sequence[Opening], *, at: datetime) -> list[events.NewEvent]:
    """Book executed entry orders: fills, ledger entries, positions, watermarks. Returns the events to append last.

    The orders exist already; their rows are set to filled by the caller (`fill_order`) or were inserted as filled.
    """
    opened = [(opening, _opened(opening, at=at)) for opening in given]
    openings.insert_openings(opened, at=at)
    drafts = [_entry_draft(opening, at=at) for opening in given]
    wallets.post(drafts)
    publish_changed(*(opening.position_id for opening in given))
    return [_created(*one, draft.id, at=at) for one, draft in zip(opened, drafts, strict=True)]


def _entry_draft(opening: Opening, *, at: datetime) -> wallets.Draft:
    order = opening.order
    return wallets.Draft(
        wallet_id=order.wallet_id,
        kind=EntryKind.SWAP,
        at=at,
        lines=_buy_lines(order.token_id, opening.quote),
        order_id=order.id,
        epoch=opening.epoch,
    )


def _created(opening: Opening, state: PositionState, entry_id: UUID, *, at: datetime) -> events.NewEvent:
    order = opening.order
    position = Opened(
        opening.position_id, order.agent_id, order.wallet_id, order.token_id, opening.symbol, order.id, at
    )
    known = None
    if order.price is not None and order.price_at is not None:
        known = live.Seen(order.price, order.price_at, opening.sol_usd)
    return live.position_event(
        position, state, kind="position_created", at=at, known=known, order_id=order.id, entry_id=entry_id
    )


def fill_order(order: Order, quote: Quote, *, at: datetime) -> None:
    """Set one open order to filled and give its hold back; the caller holds its lock."""
    order.state = State.FILLED
    order.final_at = at
    order.lease_owner = order.lease_until = None
    order.quote = quote_json(quote)
    order.stages = order.stages | {"filled": stamp(at)}
    order.save(
        update_fields=["state", "position", "final_at", "lease_owner", "lease_until", "quote", "stages", "amount"]
    )
    if order.side == Side.BUY:  # a sale holds nothing
        wallets.release([order.id])


def _post_swap(order: Order, lines: tuple[wallets.Line, ...], *, at: datetime, epoch: int) -> None:
    wallets.post(
        [
            wallets.Draft(
                wallet_id=order.wallet_id, kind=EntryKind.SWAP, at=at, lines=lines, order_id=order.id, epoch=epoch
            )
        ]
    )


def book_dca(
    order: Order,
    position: Position,
    state: PositionState,
    quote: Quote,
    *,
    policy: Policy,
    at: datetime,
    epoch: int,
    sol_usd: Decimal | None,
) -> PositionState:
    """Book an executed DCA buy: the average falls, peak and stop re-base (a new generation)."""
    after = apply_rules.apply(
        state,
        Bought(
            lamports=quote.amount_in,
            units=quote.amount_out,
            fee_lamports=quote.network_fee_lamports,
            rent_lamports=quote.rent_lamports,
            at=at,
            default_stop_percent=policy.stop.default_percent,
            ladder_length=len(policy.ladder.levels),
        ),
    )
    fill_order(order, quote, at=at)
    price = money.price_of(quote.amount_in, quote.amount_out, position.decimals)
    insert(Fill, FILL_COLUMNS, [_fill_row(order.id, quote, price, at, sol_usd=sol_usd)])
    _post_swap(order, _buy_lines(order.token_id, quote), at=at, epoch=epoch)
    positions.take(position, after, at=at)
    position.save()
    positions.save_watermark(position.id, after, at=at)
    publish_changed(position.id)
    return after


def has_submitted_buy(position_id: UUID) -> bool:
    """Whether a buy of the position is on the wire; the caller holds the position's lock."""
    return Order.objects.filter(position_id=position_id, side=Side.BUY, state=State.SUBMITTED).exists()


def close_emptied(position: Position, *, at: datetime) -> None:
    """Close a position that was kept open for a buy that has failed now: its last sale's reason is the reason."""
    last = last_sale(position.id)
    position.closed_at, position.close_reason = at, Purpose(last.purpose).label
    position.sol_usd_at_close = last.fill.sol_usd
    position.save(update_fields=["closed_at", "close_reason", "sol_usd_at_close"])


def last_sale(position_id: UUID) -> Order:
    """The newest filled sale of a position."""
    sales = Order.objects.filter(position_id=position_id, side=Side.SELL, state=State.FILLED)
    return sales.select_related("fill").latest("final_at", "id")


def cancel_open_buys(position_id: UUID, *, at: datetime, code: str) -> None:
    """Cancel what has not been submitted on the buy side of a closing position."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE trading_order SET state = %s, error_code = %s, final_at = %s, lease_owner = NULL,"
            " lease_until = NULL WHERE position_id = %s AND side = 0 AND state IN (0, 1) RETURNING id",
            [State.CANCELLED, code, at, position_id],
        )
        cancelled = [row[0] for row in cursor.fetchall()]
    wallets.release(cancelled)


def publish_changed(*position_ids: UUID) -> None:
    """Tell the price engine, after the commit, to read positions again; one message, `changed_ids` reads it."""
    if position_ids:
        bell.publish(POSITIONS_CHANGED, b"".join([position_id.bytes for position_id in position_ids]))


def changed_ids(message: bytes) -> list[UUID]:
    """The positions that a message on `POSITIONS_CHANGED` names."""
    return [UUID(bytes=message[start : start + 16]) for start in range(0, len(message), 16)]


def touch(position_id: UUID) -> None:
    """Raise a position's version (an order of it became final without a fill) and tell the price engine."""
    Position.objects.filter(id=position_id).update(version=F("version") + 1)
    publish_changed(position_id)


def publish_filled(order_ids: Sequence[UUID]) -> None:
    """Stamp `published` on orders whose events the sender thread has sent; written later, by that thread's follower."""
    published.after_commit(order_ids)
