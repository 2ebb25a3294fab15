"""What a row of the live table shows, computed once for the page and for the socket's fragments alike.

Stop, ladder and gain come from the functions that trade, with the newest price: what is shown is what would be done.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from agents import selectors as agents
from nexgent import money
from prices import selectors as prices
from prices.records import EXIT_MAX_AGE, PriceTick
from trading.engine import positions
from trading.models import OPEN_STATES, Order, Position, Side
from trading.rules import pnl, stop
from trading.rules.gain import HUNDRED, gain_percent
from trading.rules.policy import LadderLevel, Policy


@dataclass(frozen=True, slots=True)
class Range:
    """Where the price stands between the stop and what comes next, in percent of that way (0 to 100)."""

    entry: int
    price: int

    @property
    def above(self) -> int:
        """How much of the way lies above the entry."""
        return 100 - self.entry


@dataclass(frozen=True, slots=True)
class Row:
    """One open position. Amounts are lamports; None is unknown and never shown as a number."""

    id: UUID
    agent_id: UUID
    agent_name: str
    mode: str
    symbol: str
    mint: str
    average: Decimal
    price: Decimal | None
    price_at: datetime | None
    is_stale: bool
    gain: Decimal | None
    value: int | None
    cost: int
    profit: int | None
    profit_percent: Decimal | None
    """Of what the remaining units cost, fees included."""
    realised: int
    sold_percent: int
    has_stop: bool
    is_guarded: bool
    """Whether the agent's own rules may sell."""
    stop_percent: Decimal
    stop_price: Decimal
    levels_hit: int
    levels_total: int
    next_level: LadderLevel | None
    range: Range | None
    moon_bag_active: bool
    dca_count: int
    dca_max: int
    opened_at: datetime
    is_closing: bool
    is_untradable: bool


def open_positions(*, agent_ids: Iterable[UUID]) -> QuerySet[Position]:
    """Open positions with all that a row needs, newest first."""
    selling = Order.objects.filter(position=OuterRef("id"), side=Side.SELL, state__in=OPEN_STATES)
    return (
        Position.objects.filter(agent_id__in=list(agent_ids), closed_at=None)
        .select_related("watermark", "agent")
        .annotate(is_closing=Exists(selling))
        .order_by("-opened_at", "-id")
    )


def rows(held: Sequence[Position], *, ticks: dict[str, PriceTick], now: datetime) -> list[Row]:
    """The rows of positions from `open_positions`, valued with these prices."""
    agents.policies({position.config_id for position in held})  # one statement for all that is not compiled yet
    return [row(position, ticks.get(position.token_id), now=now) for position in held]


@money.exact
def row(position: Position, tick: PriceTick | None, *, now: datetime) -> Row:
    """One row; without a price everything that needs one is unknown."""
    policy, mark, agent = positions.policy_of(position), position.watermark, position.agent
    price = None if tick is None else tick.price_sol
    average = position.average
    stop_now = stop.evaluate(
        policy.stop,
        average=average,
        peak=mark.peak,
        stop_percent=mark.stop_percent,
        price=mark.peak if price is None else price,
    )
    stop_percent = mark.stop_percent if stop_now is None else stop_now.stop_percent
    stop_price = average * (HUNDRED + stop_percent) / HUNDRED
    upcoming = _next_level(position, policy)
    cost, units, decimals = position.cost_lamports, position.remaining_units, position.decimals
    value = None if price is None else money.value_lamports(units, price, decimals)
    profit = None if price is None else pnl.unrealised(units, price, decimals, cost)
    return Row(
        id=position.id,
        agent_id=position.agent_id,
        agent_name=agent.name,
        mode=agent.mode,
        symbol=position.symbol or "TOKEN",
        mint=position.token_id,
        average=average,
        price=price,
        price_at=None if tick is None else tick.observed_at,
        is_stale=tick is not None and not prices.is_fresh(tick, now=now, max_age=EXIT_MAX_AGE),
        gain=None if price is None else gain_percent(average, price),
        value=value,
        cost=cost,
        profit=profit,
        profit_percent=None if profit is None or not cost else profit * HUNDRED / cost,
        realised=position.realised_lamports,
        sold_percent=_rounded_percent(position.bought_units - units, position.bought_units),
        has_stop=stop_now is not None,
        is_guarded=agents.exits_on(agent),
        stop_percent=stop_percent,
        stop_price=stop_price,
        levels_hit=max(0, position.levels_hit - position.batch_start),
        levels_total=len(policy.ladder.levels) if policy.ladder.enabled else 0,
        next_level=upcoming,
        range=_range(stop_price, average, price, upcoming, mark.peak),
        moon_bag_active=position.moon_bag_active,
        dca_count=position.dca_count,
        dca_max=policy.dca.max_count if policy.dca.enabled else 0,
        opened_at=position.opened_at,
        is_closing=bool(getattr(position, "is_closing", False)),
        is_untradable=position.untradable_at is not None,
    )


def _rounded_percent(part: int, whole: int) -> int:
    return (part * 200 + whole) // (whole * 2) if whole else 0


def _next_level(position: Position, policy: Policy) -> LadderLevel | None:
    at = max(0, position.levels_hit - position.batch_start)
    if not policy.ladder.enabled or at >= len(policy.ladder.levels):
        return None
    return policy.ladder.levels[at]


def _range(
    stop_price: Decimal, average: Decimal, price: Decimal | None, upcoming: LadderLevel | None, peak: Decimal
) -> Range | None:
    if price is None:
        return None
    top = max(peak, price) if upcoming is None else average * (HUNDRED + upcoming.target_percent) / HUNDRED
    if top <= stop_price:
        return None

    def place(value: Decimal) -> int:
        return max(0, min(100, money.floor((value - stop_price) * HUNDRED / (top - stop_price))))

    return Range(entry=place(average), price=place(price))
