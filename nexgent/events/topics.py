"""What the kinds of streams carry, and what of it a caller may see.

A stream's own scope lets an API key in; each event besides needs the scope of what it tells of, and so do positions in
the opening and prices of held tokens. What a key may not see moves its place on unseen. People see all of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import orjson

from nexgent.events import registry
from nexgent.events.records import Record

POSITIONS, TRANSACTIONS = "positions", "transactions"
SCOPES: Mapping[str, str] = {
    "position_update": POSITIONS,
    "order_update": TRANSACTIONS,
    "balance_update": "balances",
    "wallet_reset": "balances",
}
"""The scope of an agent's event by its type."""
OTHERS = "agents"
"""The scope of what tells of the agent itself."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What one kind of stream carries: which events, prices of held tokens or not, and the opening's data."""

    scope: str  # of an API key
    wants: Callable[[Record], bool]
    snapshot: Callable[[UUID], dict[str, Any]]
    has_prices: bool = False
    is_of_agents: bool = True  # else of the workspace


def _is_fill(record: Record) -> bool:
    return record.type == "position_update" and "orderId" in record.payload


def _nothing(_: UUID) -> dict[str, Any]:
    return {}


TOPICS = {
    "positions": Topic(POSITIONS, lambda r: r.type == "position_update", registry.snapshot, has_prices=True),
    "trades": Topic(TRANSACTIONS, lambda r: r.type == "order_update" or _is_fill(r), _nothing),
    "portfolio": Topic("balances", lambda _: True, registry.snapshot, has_prices=True),
    "signals": Topic("signals", lambda r: r.type.startswith("signal"), _nothing, is_of_agents=False),
}


class View:
    """What one caller sees of a topic."""

    def __init__(self, topic: Topic, principal: Any) -> None:
        self.topic = topic
        self._is_key = principal.kind == "key"
        self._has_scope: Callable[[str], bool] = principal.has_scope
        has_positions = self._may(POSITIONS)
        self.has_prices = topic.has_prices and has_positions
        self.snapshot = topic.snapshot if has_positions else _nothing

    def frame(self, record: Record) -> str | None:
        """The event's message as this caller gets it; None for what is not for them."""
        if not self.topic.wants(record):
            return None
        if not self.topic.is_of_agents:
            return record.frame
        if self._may(SCOPES.get(record.type, OTHERS)):
            return record.agent_frame
        if _is_fill(record) and self._may(TRANSACTIONS):
            return _without_position(record).agent_frame
        return None

    def _may(self, scope: str) -> bool:
        return not self._is_key or self._has_scope(scope)


def _without_position(record: Record) -> Record:
    """A fill for a key that sees transactions only: which order of which position, not what the position is like."""
    said = record.payload
    position_id = said.get("positionId") or said.get("position", {}).get("id")
    bare = {"eventType": said.get("eventType"), "positionId": position_id, "orderId": said["orderId"]}
    return replace(record, payload_text=orjson.dumps(bare).decode())
