"""What the fill of an entry writes in the tables of trading: order, fill, position, watermark, a set by one statement.

Dumping arrays is what a bulk insert costs most in Python, so that each fact travels once: what a signal's orders share
and what an agent's orders share are short lists of their own, joined in the database. An entry that is filled where it
is planned brings its order along; one that was filled later has its order already.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from nexgent import money, rows
from nexgent.ids import uuid7
from trading.models import Order
from trading.rules.market import Quote
from trading.rules.policy import Policy
from trading.rules.position import PositionState
from trading.venues.protocol import quote_json


@dataclass(slots=True)
class EntryOrder:
    """An entry order that has no row yet, by the names of `Order`."""

    id: UUID
    key: UUID
    key_text: str
    workspace_id: UUID
    agent_id: UUID
    wallet_id: UUID
    token_id: str
    config_id: UUID
    signal_id: int | None
    signal_type: str
    plan: dict[str, Any]
    price: Decimal
    price_at: datetime
    price_source: str
    profile: str
    seed: int
    amount: int
    stages: dict[str, str]
    created_at: datetime
    position_id: UUID | None = None
    quote: Quote | None = None
    """Set with `position_id`: the order is filled as it is planned."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One entry order with its execution, ready to be booked."""

    order: Order | EntryOrder
    quote: Quote
    policy: Policy
    symbol: str
    decimals: int
    epoch: int
    sol_usd: Decimal | None
    position_id: UUID = field(default_factory=uuid7)


_INSERT_ORDERS = """
WITH given AS (
    SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::text[], %b::int[], %b::int[], %b::uuid[], %b::bigint[],
                         %b::numeric[], %b::text[])
        AS g(id, key, key_text, agent_at, reason_at, position_id, seed, amount, quote)
    JOIN unnest(%b::int[], %b::uuid[], %b::uuid[], %b::uuid[], %b::uuid[], %b::text[])
        AS a(agent_at, agent_id, workspace_id, wallet_id, config_id, profile) USING (agent_at)
    JOIN unnest(%b::int[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::numeric[], %b::timestamptz[],
                %b::text[], %b::text[])
        AS r(reason_at, signal_id, signal_type, mint, plan, price, price_at, price_source, stages) USING (reason_at)
)
INSERT INTO trading_order (id, key, key_text, workspace_id, agent_id, wallet_id, mint, position_id, config_id,
    signal_id, signal_type, side, purpose, ordinal, state, amount, plan, price, price_at, price_source, profile, seed,
    quote, stages, created_at, final_at)
SELECT id, key, key_text, workspace_id, agent_id, wallet_id, mint, position_id, config_id,
    signal_id, signal_type, 0, 0, 0, CASE WHEN position_id IS NULL THEN 0 ELSE 3 END, amount, plan::jsonb, price,
    price_at, price_source, profile, seed, quote::jsonb, stages::jsonb, %b,
    CASE WHEN position_id IS NULL THEN NULL ELSE %b END
FROM given ORDER BY key
"""

# One list of arrays for three tables. What is not named is as every position begins: nothing received, no level hit.
_INSERT_OPENINGS = """
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::int[], %b::bigint[], %b::numeric[], %b::numeric[], %b::numeric[],
                         %b::numeric[], %b::numeric[], %b::numeric[], %b::numeric[], %b::numeric[], %b::numeric[],
                         %b::numeric[], %b::numeric[], %b::numeric[], %b::int[], %b::int[])
        AS g(order_id, position_id, agent_at, seed, amount_in, amount_out, protocol_fee, network_fee, rent,
             price, price_impact, average, invested, peak, stop_percent, low, total_levels, reason_at)
    JOIN unnest(%b::int[], %b::uuid[], %b::uuid[], %b::uuid[], %b::uuid[], %b::text[])
        AS a(agent_at, agent_id, workspace_id, wallet_id, config_id, profile) USING (agent_at)
    JOIN unnest(%b::int[], %b::bigint[], %b::text[], %b::text[], %b::int[], %b::numeric[])
        AS r(reason_at, signal_id, mint, symbol, decimals, sol_usd) USING (reason_at)
), filled AS (
    INSERT INTO trading_fill (order_id, amount_in, amount_out, protocol_fee_lamports, network_fee_lamports,
        rent_lamports, price, price_impact, cost_lamports, realised_lamports, sol_usd, at)
    SELECT order_id, amount_in, amount_out, protocol_fee, network_fee, rent, price, price_impact, 0, 0, sol_usd, %b
    FROM given
), opened AS (
    INSERT INTO trading_position (id, workspace_id, agent_id, wallet_id, mint, config_id, symbol, decimals, profile,
        seed, signal_id, opened_by_id, version, generation, average, bought_units, remaining_units, invested_lamports,
        cost_lamports, received_lamports, realised_lamports, rent_lamports, dca_count, levels_hit, batch_start,
        total_levels, moon_bag_active, exit_failures, opened_at, updated_at)
    SELECT position_id, workspace_id, agent_id, wallet_id, mint, config_id, symbol, decimals, profile,
        seed, signal_id, order_id, 1, 1, average, amount_out, amount_out, invested, invested, 0, 0, rent, 0, 0, 0,
        total_levels, false, 0, %b, %b
    FROM given
)
INSERT INTO trading_watermark (position_id, generation, peak, stop_percent, low, at)
SELECT position_id, 1, peak, stop_percent, low, %b FROM given
"""


class _Shared:
    """Rows that many orders share, each sent once; `at` is the place of a row."""

    def __init__(self) -> None:
        self.places: dict[Any, int] = {}
        self.rows: list[tuple[Any, ...]] = []

    def at(self, key: Any, row: Iterable[Any]) -> int:
        place = self.places.get(key)
        if place is None:
            place = self.places[key] = len(self.rows)
            self.rows.append((place, *row))
        return place

    def columns(self) -> list[list[Any]]:
        return _columns(self.rows)


def _columns(given: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*given, strict=True)]


def _agent(order: Order | EntryOrder) -> tuple[Any, ...]:
    return (order.agent_id, order.workspace_id, order.wallet_id, order.config_id, order.profile)


def insert_orders(orders: Sequence[EntryOrder], *, at: datetime) -> None:
    """Insert entry orders, planned or filled; usable in a pipeline."""
    if not orders:
        return
    agents, reasons = _Shared(), _Shared()
    given: list[tuple[Any, ...]] = []
    for order in orders:
        agent = _agent(order)
        agent_at = agents.at(agent, agent)
        reason_key = (order.signal_id, order.token_id, order.position_id is None)
        reason_at = reasons.places.get(reason_key)
        if reason_at is None:
            reason_at = reasons.at(reason_key, _reason(order))
        quote = None if order.quote is None else json.dumps(quote_json(order.quote))
        given.append(
            (
                order.id,
                order.key,
                order.key_text,
                agent_at,
                reason_at,
                order.position_id,
                order.seed,
                order.amount,
                quote,
            )
        )
    rows.execute(_INSERT_ORDERS, [*_columns(given), *agents.columns(), *reasons.columns(), at, at]).close()


def _reason(order: EntryOrder) -> tuple[Any, ...]:
    return (
        order.signal_id,
        order.signal_type,
        order.token_id,
        json.dumps(order.plan),
        order.price,
        order.price_at,
        order.price_source,
        json.dumps(order.stages),
    )


def insert_openings(opened: Sequence[tuple[Opening, PositionState]], *, at: datetime) -> None:
    """Insert fill, position and watermark of executed entry orders; usable in a pipeline."""
    if not opened:
        return
    agents, reasons = _Shared(), _Shared()
    given: list[tuple[Any, ...]] = []
    for opening, state in opened:
        order, quote = opening.order, opening.quote
        agent = _agent(order)
        reason = (order.signal_id, order.token_id, opening.symbol, opening.decimals, opening.sol_usd)
        given.append(
            (
                order.id,
                opening.position_id,
                agents.at(agent, agent),
                order.seed,
                quote.amount_in,
                quote.amount_out,
                quote.protocol_fee_lamports,
                quote.network_fee_lamports,
                quote.rent_lamports,
                money.price_of(quote.amount_in, quote.amount_out, opening.decimals),
                quote.price_impact,
                state.average,
                state.invested_lamports,
                state.peak,
                state.stop_percent,
                state.low,
                state.total_levels,
                reasons.at(reason, reason),
            )
        )
    rows.execute(_INSERT_OPENINGS, [*_columns(given), *agents.columns(), *reasons.columns(), at, at, at, at]).close()
