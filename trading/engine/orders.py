"""Planning of orders on a position: the intent, with the decision it rests on, unique per (position, purpose,
ordinal).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from nexgent.errors import Refusal
from nexgent.events import bell
from nexgent.ids import key_uuid, uuid7
from nexgent.rows import insert
from trading.engine import booking
from trading.models import TRANSITIONS, Order, Position, Purpose, Side, State
from trading.rules import retry
from trading.rules.decision import Buy, Rule, Sell
from trading.rules.position import PositionState, Tick
from trading.rules.sizing import seed_of

PURPOSE_OF_RULE = {
    Rule.STOP_LOSS: Purpose.STOP_LOSS,
    Rule.TAKE_PROFIT: Purpose.TAKE_PROFIT,
    Rule.STALE_TRADE: Purpose.STALE_TRADE,
    Rule.DCA: Purpose.DCA,
}
EXITS_DRAIN = ("trading.exits_drain", "exits")
ENTRIES_DRAIN = ("trading.entries_drain", "entries")


@dataclass(frozen=True, slots=True)
class Intent:
    """One order to plan on a position: the command, the tick and the extremes it rests on, the purpose's next
    ordinal.
    """

    position: Position
    state: PositionState
    command: Sell | Buy
    purpose: Purpose
    tick: Tick
    ordinal: int
    signal_id: int | None = None
    part: int = 1
    exit_units: int | None = None
    """The whole exit that a part belongs to; None: this is the whole."""
    not_before: datetime | None = None
    reason: str = ""
    key_text: str = ""


class OrderFacts(NamedTuple):
    """What the book knows of an order of a position."""

    purpose: int
    side: int
    state: int
    not_before: datetime | None
    lease_owner: UUID | None

    @property
    def is_open(self) -> bool:
        return self.state < State.FILLED

    @property
    def gives_way(self) -> bool:
        """Whether this is a failed sale, no stop, that waits to be tried again."""
        waits = self.state == State.PLANNED and self.not_before is not None and self.lease_owner is None
        return waits and self.side == Side.SELL and retry.gives_way(Purpose(self.purpose).label)


_COLUMNS = (
    "id",
    "key",
    "key_text",
    "workspace_id",
    "agent",
    "wallet",
    "token",
    "position",
    "config",
    "signal_id",
    "side",
    "purpose",
    "ordinal",
    "state",
    "amount",
    "plan",
    "price",
    "price_at",
    "price_source",
    "peak",
    "stop_percent",
    "profile",
    "seed",
    "stages",
    "not_before",
    "created_at",
)


def plan_of(intent: Intent) -> dict[str, Any]:
    """What of the decision has no column of its own."""
    command = intent.command
    plan: dict[str, Any] = {"reason": intent.reason or command.reason, "generation": intent.state.generation}
    if isinstance(command, Sell):
        plan["isFull"] = command.is_full
        plan["part"] = intent.part
        plan["exitUnits"] = intent.exit_units or command.units
        if command.levels:
            plan["levels"] = command.levels
        if command.moon_bag_units is not None:
            plan["moonBagUnits"] = command.moon_bag_units
    else:
        plan["level"] = command.level
        plan["wantedLamports"] = command.lamports
    return plan


def _row(intent: Intent, at: datetime) -> tuple[Any, ...]:
    position, command = intent.position, intent.command
    key = intent.key_text or f"{position.id}:{intent.purpose.label}:{intent.ordinal}"
    is_sell = isinstance(command, Sell)
    return (
        uuid7(),
        key_uuid(key),
        key,
        position.workspace_id,
        position.agent_id,
        position.wallet_id,
        position.token_id,
        position.id,
        position.config_id,
        intent.signal_id,
        Side.SELL if is_sell else Side.BUY,
        intent.purpose,
        intent.ordinal,
        State.PLANNED,
        command.units if isinstance(command, Sell) else command.lamports,
        plan_of(intent),
        intent.tick.price,
        intent.tick.at,
        intent.tick.source,
        intent.state.peak,
        intent.state.stop_percent,
        position.profile,
        seed_of(position.seed, intent.purpose.label, intent.ordinal),
        {"order_committed": booking.stamp(at)},
        intent.not_before,
        at,
    )


def plan(intents: Sequence[Intent], *, at: datetime) -> list[UUID]:
    """Insert planned orders in one statement and ring their drains.

    An intent whose key or place (one open order per position and side) is taken is left out: somebody else was first.
    Returns the ids of the orders that exist now because of this call.
    """
    rows = sorted((_row(intent, at) for intent in intents), key=lambda row: row[1])
    planned = [row[0] for row in insert(Order, _COLUMNS, rows, conflict="ON CONFLICT DO NOTHING RETURNING id")]
    if any(isinstance(intent.command, Sell) for intent in intents):
        bell.task(EXITS_DRAIN[0], queue=EXITS_DRAIN[1])
    if any(isinstance(intent.command, Buy) for intent in intents):
        bell.task(ENTRIES_DRAIN[0], queue=ENTRIES_DRAIN[1])
    return planned


def next_ordinal(position_id: UUID, purpose: Purpose) -> int:
    """The count of a purpose's orders on a position; the caller holds the position's lock."""
    return Order.objects.filter(position_id=position_id, purpose=purpose).count()


def move(order: Order, state: State) -> None:
    """Change an order's state along the transition table; raises Refusal for a step that is not in it."""
    if state not in TRANSITIONS[State(order.state)]:
        raise Refusal("INVALID_TRANSITION", f"An order does not go from {State(order.state).label} to {state.label}.")
    order.state = state


def end(order: Order, state: State, *, code: str, at: datetime, detail: dict[str, Any] | None = None) -> None:
    """Set an order to failed or cancelled with its reason; the caller holds its lock."""
    move(order, state)
    order.error_code, order.error_detail, order.final_at = code, detail, at
    order.lease_owner = order.lease_until = None
    order.save(update_fields=["state", "error_code", "error_detail", "final_at", "lease_owner", "lease_until"])


def tick_of(order: Order) -> Tick:
    """The tick an order rests on; raises Refusal PRICE_UNKNOWN when it names none."""
    if order.price is None or order.price_at is None:
        raise Refusal("PRICE_UNKNOWN", "There is no price for this token.")
    return Tick(order.price, order.price_at, order.price_source)
