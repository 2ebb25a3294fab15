"""Orders in hand: what their execution needs, read under lock, and what is asked of a venue for them."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from django.db import Error

from agents import selectors as agents
from agents.policy import compile_policy
from nexgent.errors import Refusal
from trading.engine import locks, orders, positions
from trading.engine.market import MarketFacts
from trading.engine.quoting import quote_buy
from trading.models import Order, Position, Purpose, Side, State
from trading.rules import impact
from trading.rules.market import Quote
from trading.rules.policy import Policy
from trading.rules.position import PositionState, Tick
from trading.venues.protocol import Request, Venue, quote_of
from trading.venues.registry import venue_of

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Work:
    """One claimed order with what its execution needs; `position` is None for an entry."""

    order: Order
    policy: Policy
    venue: Venue
    market: MarketFacts
    position: Position | None = None
    quote: Quote | None = None
    """Set from the submission on."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an order at its venue: an executed quote, or the refusal."""

    order_id: UUID
    market: MarketFacts
    answer: Quote | Refusal

    def __post_init__(self) -> None:
        if isinstance(self.answer, Refusal):
            self.answer.forget_way()


def take(
    markets: Mapping[UUID, MarketFacts], owner: UUID, *, is_patient: bool
) -> tuple[list[tuple[Order, Position | None]], list[UUID]]:
    """Lock the paths of these orders and read them: those that are open and the owner's, and the ids of those whose
    locks somebody else holds (never for a patient caller). The caller is inside a transaction.
    """
    held = locks.order_paths(markets, is_patient=is_patient)
    found = list(Order.objects.filter(id__in=held, lease_owner=owner, state__lt=State.FILLED).order_by("id"))
    wanted = [order.position_id for order in found if order.position_id is not None]
    rows = Position.objects.filter(id__in=wanted).select_related("watermark", "agent", "wallet")
    known = {position.id: position for position in rows} if wanted else {}
    _compile(known.values())
    pairs = [(order, known[order.position_id] if order.position_id is not None else None) for order in found]
    left = [] if is_patient else [order_id for order_id in markets if order_id not in set(held)]
    return pairs, left


def work_of(order: Order, position: Position | None, market: MarketFacts) -> Work:
    """An order in hand, with the quote it was submitted with."""
    quote = quote_of(order.quote) if order.state == State.SUBMITTED and order.quote else None
    return Work(order, _policy(order, position), venue_of(order.profile), market, position, quote)


def _compile(known: Collection[Position]) -> None:
    """One query for the configurations that are not compiled yet."""
    try:
        agents.policies({position.config_id for position in known})
    except Error:
        raise
    except Exception as problem:
        log.warning("configurations are read one by one: %s", problem)


def _policy(order: Order, position: Position | None) -> Policy:
    """The rules an order is executed by. Of them a sale only needs the limit of its impact: where they cannot be read,
    a person can still sell, by the default.
    """
    try:
        return agents.policy(order.config_id) if position is None else positions.policy_of(position)
    except Error:
        raise
    except Exception as problem:
        if order.side == Side.BUY:
            raise
        log.warning("sold by default rules", extra={"order_id": str(order.id), "cause": str(problem)})
        return compile_policy({})


def state_at(order: Order, position: Position) -> PositionState:
    """The position with the highest extremes known to the order and to the row."""
    state = positions.state_of(position)
    peak, stop_percent = state.peak, state.stop_percent
    if order.peak is not None and order.plan.get("generation", position.generation) == position.generation:
        peak = max(peak, order.peak)
        stop_percent = max(stop_percent, order.stop_percent if order.stop_percent is not None else stop_percent)
    low = state.low if order.price is None else min(state.low, order.price)
    return replace(state, peak=peak, stop_percent=stop_percent, low=low)


def request_of(work: Work, *, amount: int | None = None) -> Request:
    """What is asked of the venue: at the newest price known, of the amount given or the order's own."""
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


def gated_quote(work: Work) -> Quote:
    """A quote that passes the impact gate: buys shrink or are refused, sales split into parts, never refused."""
    limit, order = work.policy.limits.max_price_impact, work.order
    if order.side == Side.BUY:
        return quote_buy(work.venue, request_of(work), limit)
    quotes: dict[int, Quote] = {}

    def ask(units: int) -> Quote:
        if units not in quotes:
            quotes[units] = work.venue.quote(request_of(work, amount=units))
        return quotes[units]

    units = impact.exit_part(
        order.plan["exitUnits"], order.amount, limit, lambda units: ask(units).price_impact, part=order.plan["part"]
    )
    return ask(units)
