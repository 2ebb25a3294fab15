"""Sales that a person or a signal asks for. They rest on no rule; a person's need no fresh price."""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from uuid import UUID, uuid4

from django.db import transaction

from nexgent import clock, money
from nexgent.errors import NotFound, Refusal
from nexgent.ids import key_uuid
from prices import selectors as prices
from trading.engine import booking, locks, orders, patience, positions
from trading.engine.points import reach
from trading.models import OPEN_STATES, Order, Position, Purpose, Side, State
from trading.rules.decision import Rule, Sell
from trading.rules.ladder import DUST_LAMPORTS
from trading.rules.position import PositionState, Tick
from trading.rules.sizing import MINIMUM_TRADE_LAMPORTS


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much to sell: a percentage of what is left, or units; neither: everything."""

    percent: Decimal | None = None
    units: int | None = None


def last_tick(mint: str, position: Position) -> Tick:
    """The last known price of a held token, however old: its own entry price when no feed ever had one."""
    known = prices.latest([mint]).get(mint)
    if known is None:
        return Tick(position.average, position.opened_at, "entry")
    return Tick(known.price_sol, known.observed_at, known.source)


def sell(
    *,
    position_id: UUID,
    wanted: Wanted,
    purpose: Purpose,
    key_text: str = "",
    reason: str = "",
    signal_id: int | None = None,
) -> UUID:
    """Plan a sale; returns its order. The same key returns the same order.

    Raises NotFound, Refusal SALE_IN_PROGRESS, INVALID_SELL_AMOUNT, BELOW_MINIMUM_TRADE.
    """
    position = Position.objects.filter(id=position_id).first()
    if position is None:
        raise NotFound("position")
    tick = last_tick(position.token_id, position)
    key = key_text or f"{purpose.label}:{uuid4()}"
    return _sell(position_id, position.wallet_id, wanted, purpose, key, reason, signal_id, tick)


@locks.unit_of_work
@transaction.atomic
def _sell(
    position_id: UUID,
    wallet_id: UUID,
    wanted: Wanted,
    purpose: Purpose,
    key: str,
    reason: str,
    signal_id: int | None,
    tick: Tick,
) -> UUID:
    locks.wallet(wallet_id)
    locks.positions([position_id])
    done = Order.objects.filter(key=key_uuid(key)).values_list("id", flat=True).first()
    if done is not None:
        return done
    position = Position.objects.select_related("watermark").get(id=position_id)
    if position.closed_at is not None:
        raise NotFound("position")
    now = clock.now()
    if position.remaining_units == 0:
        raise Refusal("SALE_IN_PROGRESS", "Everything is sold; a buy on its way is sold by the same exit.")
    make_way(position_id, at=now, is_signal=purpose == Purpose.SIGNAL)
    state = positions.state_of(position)
    units = units_of(state, wanted, tick)
    command = Sell(Rule.STOP_LOSS, reason or purpose.label, units, units == state.remaining_units)
    intent = orders.Intent(
        position=position,
        state=state,
        command=command,
        purpose=purpose,
        tick=tick,
        ordinal=orders.next_ordinal(position_id, purpose),
        signal_id=signal_id,
        key_text=key,
    )
    planned = orders.plan([intent], at=now)
    if not planned:
        raise Refusal("SALE_IN_PROGRESS", "A sale of this position is under way.")
    booking.touch(position_id)
    reach("sale_before_commit")
    return planned[0]


def make_way(position_id: UUID, *, at: datetime, is_signal: bool = False) -> None:
    """End a retry that still waits for its time, for a person; raises Refusal SALE_IN_PROGRESS beside a sale under way.

    For a signal, which asks once only, a part that was not submitted is ended too (`patience.gives_way`). The caller
    holds the position's lock.
    """
    waiting = Order.objects.filter(position_id=position_id, side=Side.SELL, state__in=OPEN_STATES).first()
    if waiting is None:
        return
    locks.orders([waiting.id])
    waiting.refresh_from_db()
    if waiting.state not in OPEN_STATES:
        return
    is_retry = waiting.state == State.PLANNED and waiting.lease_owner is None and waiting.not_before is not None
    if is_retry or (is_signal and patience.gives_way(waiting, at=at)):
        orders.end(waiting, State.CANCELLED, code="SUPERSEDED", at=at)
    else:
        raise Refusal("SALE_IN_PROGRESS", "A sale of this position is under way.", details={"orderId": str(waiting.id)})


def units_of(state: PositionState, wanted: Wanted, tick: Tick) -> int:
    """What a sale of so much sells: all of it when only dust would be left.

    Raises Refusal INVALID_SELL_AMOUNT, BELOW_MINIMUM_TRADE.
    """
    remaining = state.remaining_units
    if wanted.percent is None and wanted.units is None:
        return remaining
    if wanted.percent is not None:
        if not wanted.percent.is_finite() or not 0 < wanted.percent <= 100:
            raise Refusal("INVALID_SELL_AMOUNT", "The percentage must be above 0 and at most 100.")
        units = int((remaining * wanted.percent / 100).to_integral_value(ROUND_FLOOR, context=money.EXACT))
    else:
        units = wanted.units or 0
    if not 0 < units <= remaining:
        raise Refusal("INVALID_SELL_AMOUNT", "The amount must be above 0 and at most what the position holds.")
    if money.value_lamports(remaining - units, tick.price, state.decimals) < DUST_LAMPORTS:
        return remaining
    if money.value_lamports(units, tick.price, state.decimals) < MINIMUM_TRADE_LAMPORTS:
        raise Refusal("BELOW_MINIMUM_TRADE", "The trade is below 0.01 SOL.")
    return units
