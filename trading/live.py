"""What positions look like on the wire: the reference's message fields, and the events that carry them.

Amounts go out as exact JSON numbers, as the reference's clients expect.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from nexgent import clock, money
from nexgent.api.wire import number, sol_number, stamp, stamp_or_none
from nexgent.events import registry
from nexgent.events.services import NewEvent
from prices import selectors as prices
from prices.records import EXIT_MAX_AGE, PriceTick
from trading.engine import positions
from trading.models import Order, Position, Purpose, Side, State
from trading.parts import Parts, parts_of
from trading.rules.position import PositionState
from wallets import selectors as wallets


class Seen(NamedTuple):
    """What whoever tells of a position knows of its price at that moment: SOL per token, when it was observed, and USD
    per SOL (None when no source is fresh).
    """

    price: Decimal
    at: datetime
    sol_usd: Decimal | None

    def state(self, now: datetime) -> str:
        """Fresh, or the last known one."""
        return "fresh" if now - self.at <= EXIT_MAX_AGE else "stale"


def seen(mint: str, *, now: datetime) -> Seen | None:
    """The newest price of a token, for events that rest on none. A look at the cache: not for the way of a trade."""
    tick = prices.latest([mint]).get(mint)
    return None if tick is None else Seen(tick.price_sol, tick.observed_at, prices.sol_usd(now))


def position_wire(
    position: Position,
    state: PositionState,
    parts: Parts,
    *,
    price: Decimal | None = None,
    price_state: str = "unpriced",
    sol_usd: Decimal | None = None,
) -> dict[str, Any]:
    """The position object of `initial_data` and `position_update` (reference/api.md section 4).

    Unpriced positions get the reference's stand-in numbers: current price = purchase price, profit and loss 0.
    """
    current = price if price is not None else state.average
    value = money.value_lamports(state.remaining_units, current, state.decimals)
    profit = value - state.cost_lamports if price is not None else 0
    usd = sol_usd if sol_usd is not None and price is not None else None
    change = (current - state.average) / state.average * 100 if price is not None and state.average else Decimal(0)
    percent = Decimal(profit) / state.cost_lamports * 100 if state.cost_lamports else Decimal(0)
    bag = state.moon_bag_units
    return {
        "id": str(position.id),
        "agentId": str(position.agent_id),
        "walletAddress": wallets.address_of(position.wallet_id),
        "tokenAddress": position.token_id,
        "tokenSymbol": position.symbol or "TOKEN",
        "purchasePrice": number(state.average),
        "purchaseAmount": number(money.tokens(state.bought_units, state.decimals)),
        "currentPrice": number(current),
        "currentPriceUsd": number(current * usd, places=8) if usd is not None else 0,
        "purchasePriceUsd": number(state.average * sol_usd, places=8) if sol_usd is not None else 0,
        "positionValueUsd": number(money.sol(value) * usd, places=8) if usd is not None else 0,
        "positionValueSol": sol_number(value),
        "profitLossUsd": number(money.sol(profit) * usd, places=8) if usd is not None else 0,
        "profitLossSol": sol_number(profit),
        "profitLossPercent": number(percent, places=8),
        "priceChangePercent": number(change, places=8),
        "currentStopLossPercentage": number(state.stop_percent),
        "peakPrice": number(state.peak),
        "totalInvestedSol": sol_number(state.invested_lamports),
        "dcaCount": state.dca_count,
        "lastDcaTime": stamp_or_none(state.last_dca_at),
        "lowestPrice": number(state.low),
        "dcaTransactionIds": [str(entry_id) for entry_id in parts.dca],
        "lastStopLossUpdate": stamp_or_none(position.updated_at),
        "remainingAmount": number(money.tokens(state.remaining_units, state.decimals)),
        "takeProfitLevelsHit": state.levels_hit,
        "takeProfitTransactionIds": [str(entry_id) for entry_id in parts.ladder],
        "lastTakeProfitTime": stamp_or_none(position.last_take_profit_at),
        "moonBagActivated": state.moon_bag_active,
        "moonBagAmount": None if bag is None else number(money.tokens(bag, state.decimals)),
        "realizedProfitSol": sol_number(state.realised_lamports),
        "tpBatchStartLevel": state.batch_start,
        "totalTakeProfitLevels": state.total_levels,
        "createdAt": stamp_or_none(state.opened_at),
        "updatedAt": stamp_or_none(position.updated_at),
        "purchaseTransactionId": None if parts.opened is None else str(parts.opened),
        "priceState": price_state,
    }


def position_event(
    position: Position,
    state: PositionState,
    *,
    kind: str,
    at: datetime,
    known: Seen | None,
    order_id: UUID | None = None,
    entry_id: UUID | None = None,
) -> NewEvent:
    """The event of a created or updated position, priced with what its cause rests on; a closed one carries id and
    reason.

    `known` None says that the token never had a price. `entry_id` is the purchase of a position that is only just
    created; of others it is read.
    """
    if position.closed_at is not None:
        payload: dict[str, Any] = {
            "eventType": "position_closed",
            "positionId": str(position.id),
            "closeReason": position.close_reason,
            "realizedProfitSol": sol_number(state.realised_lamports),
        }
    else:
        parts = parts_of([position.id])[position.id] if entry_id is None else Parts(opened=entry_id)
        if known is None:
            wire = position_wire(position, state, parts)
        else:
            price_state = known.state(at)
            wire = position_wire(
                position, state, parts, price=known.price, price_state=price_state, sol_usd=known.sol_usd
            )
        payload = {"eventType": kind, "position": wire}
    if order_id is not None:
        payload["orderId"] = str(order_id)
    return NewEvent(stream_id=position.agent_id, type="position_update", payload=payload, at=at)


def order_event(order: Order, *, at: datetime) -> NewEvent:
    """The event of an order that ended without a fill: which, why, with what reason code."""
    payload = {
        "orderId": str(order.id),
        "positionId": str(order.position_id) if order.position_id else None,
        "tokenAddress": order.token_id,
        "side": Side(order.side).label,
        "purpose": Purpose(order.purpose).label,
        "state": State(order.state).label,
        "code": order.error_code,
        "detail": order.error_detail,
    }
    return NewEvent(stream_id=order.agent_id, type="order_update", payload=payload, at=at)


STAGES = ("received", "verdict", "order_committed", "quoted", "submitted", "filled", "published")


def stages_wire(stages: Mapping[str, str]) -> dict[str, str]:
    """The stamps of an order in the order of its way, as times on the wire."""
    return {name: stamp(at) for name, at in stage_times(stages).items()}


def stage_times(stages: Mapping[str, str]) -> dict[str, datetime]:
    """The stamps of an order in the order of its way; PostgreSQL keeps them in another."""
    names = [name for name in STAGES if name in stages] + sorted(stages.keys() - set(STAGES))
    return {name: datetime.fromisoformat(stages[name]) for name in names}


def snapshot(agent_id: UUID) -> dict[str, Any]:
    """The positions of `initial_data`, priced with what is known; nothing is fetched from outside."""
    now = clock.now()
    held = list(Position.objects.filter(agent_id=agent_id, closed_at=None).select_related("watermark").order_by("-id"))
    latest = prices.latest([position.token_id for position in held])
    sol_usd, parts = prices.sol_usd(now), parts_of([position.id for position in held])
    return {
        "positions": [
            priced_wire(position, parts[position.id], latest.get(position.token_id), sol_usd=sol_usd, now=now)
            for position in held
        ]
    }


def priced_wire(
    position: Position, parts: Parts, tick: PriceTick | None, *, sol_usd: Decimal | None, now: datetime
) -> dict[str, Any]:
    """A position with its newest price: fresh, stale (the last known one) or unpriced."""
    state = positions.state_of(position)
    fresh = prices.is_fresh(tick, now=now, max_age=EXIT_MAX_AGE)
    return position_wire(
        position,
        state,
        parts,
        price=None if tick is None else tick.price_sol,
        price_state="unpriced" if tick is None else "fresh" if fresh else "stale",
        sol_usd=sol_usd,
    )


def held_mints(agent_ids: Sequence[UUID]) -> dict[UUID, set[str]]:
    """Mints of the open positions of each agent."""
    held: dict[UUID, set[str]] = {agent_id: set() for agent_id in agent_ids}
    for agent_id, mint in Position.objects.filter(agent_id__in=agent_ids, closed_at=None).values_list(
        "agent_id", "token_id"
    ):
        held[agent_id].add(mint)
    return held


def register() -> None:
    """Offer positions to live connections; called when the app starts."""
    registry.register("trading", registry.Live(snapshot=snapshot, held_mints=held_mints))
