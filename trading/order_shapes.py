"""What the list of orders, one order in full, quotes and closes of several positions look like in answers."""

from typing import Literal

from nexgent.api.shapes import DecimalText, Mint, Object, Shape, Stamp, Uuid
from trading.shapes import OrderShape, SideName, StateName


class DecisionShape(Shape):
    """What was decided, and what it rests on; null where it does not apply."""

    reason: str | None
    is_full: bool | None
    levels: int | None
    dca_level: int | None
    part: int | None
    exit_amount: DecimalText | None
    wanted_amount: DecimalText | None
    moon_bag_amount: DecimalText | None
    peak_price: DecimalText | None
    stop_percent: DecimalText | None
    signal_type: str | None
    profile: str
    ordinal: int


class AttemptShape(Shape):
    """One signed transaction of a live order."""

    id: Uuid
    signature: str
    state: Literal["signed", "ok", "err", "dead"]
    last_valid_block_height: int
    created_at: Stamp


class OrderDetailShape(OrderShape):
    """An order with its decision, its attempts and the sentence that explains it."""

    decision: DecisionShape
    attempts: list[AttemptShape]
    latency_ms: dict[str, int]
    explanation: str


class OrderRowShape(OrderShape):
    """A row of the list of orders."""


class RefusedShape(Shape):
    """Why not: a stable code and a sentence."""

    code: str
    message: str
    details: Object | None


class PositionOrderShape(Shape):
    """What became of one of several positions that were to be closed."""

    position_id: Uuid
    agent_id: Uuid
    token_address: Mint
    status: Literal["closed", "partly_closed", "pending", "refused"]
    order_id: Uuid | None
    state: StateName | None
    profit_loss_sol: DecimalText | None
    error: RefusedShape | None


class ClosesShape(Shape):
    """The answer of a close of several positions; `pending` ones go on."""

    positions: list[PositionOrderShape]
    closed: int
    pending: int
    refused: int


class QuoteShape(Shape):
    """What an order of this kind would do now. Nothing is kept."""

    agent_id: Uuid
    side: SideName
    token_address: Mint
    wallet_address: str | None
    position_id: Uuid | None
    allowed: bool
    refusals: list[RefusedShape]
    """All that stand against it, in the order of the checks."""
    price: DecimalText | None
    price_time: Stamp | None
    price_source: str | None
    price_state: Literal["fresh", "stale", "unpriced"]
    input_amount: DecimalText | None
    output_amount: DecimalText | None
    requested_amount: DecimalText | None
    price_impact: DecimalText | None
    price_impact_limit: DecimalText | None
    protocol_fee_sol: DecimalText | None
    network_fee_sol: DecimalText | None
    rent_sol: DecimalText | None
    sol_usd: DecimalText | None
    is_randomised: bool
    profile: str
