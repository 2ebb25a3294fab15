"""One event as it is read and sent, and the text frames of the socket protocol.

A payload stays the JSON text that the database holds: it is spliced into the frame, once, for all sockets.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import orjson

from nexgent import clock
from nexgent.api.wire import stamp

RESET = "stream_reset"  # told to renderers when a page is too far behind to be caught up event by event


@dataclass(eq=False)
class Record:
    """A numbered event; `payload_text` is its complete wire JSON, `html` its fragments once rendered."""

    stream_id: UUID
    seq: int
    type: str
    payload_text: str
    at: datetime
    html: str | None = None

    @cached_property
    def payload(self) -> Any:
        return orjson.loads(self.payload_text)

    @cached_property
    def frame(self) -> str:
        """The JSON message of the agent socket."""
        data = orjson.Fragment(self.payload_text)
        return _text({"type": self.type, "data": data, "seq": self.seq, "timestamp": stamp(self.at)})

    @cached_property
    def agent_frame(self) -> str:
        """The same with the agent's id, for streams that tell of several."""
        data = orjson.Fragment(self.payload_text)
        body = {"type": self.type, "agentId": str(self.stream_id), "data": data, "seq": self.seq}
        return _text({**body, "timestamp": stamp(self.at)})


def sse(event: str, data: str, *, place: str = "") -> str:
    """A server-sent event; `place` is what the client comes back with as `Last-Event-ID`. `data` is one line."""
    head = f"id: {place}\n" if place else ""
    return f"{head}event: {event}\ndata: {data}\n\n"


def sse_place(place: str) -> str:
    """Moves the client's `Last-Event-ID` on without an event."""
    return f"id: {place}\n\n"


def message(
    kind: str, data: dict[str, Any] | None = None, *, seq: int | None = None, agent_id: UUID | None = None
) -> str:
    """A message of the socket protocol that is no event."""
    body: dict[str, Any] = {"type": kind}
    if agent_id is not None:
        body["agentId"] = str(agent_id)
    if data is not None:
        body["data"] = data
    if seq is not None:
        body["seq"] = seq
    return _text({**body, "timestamp": stamp(clock.now())})


def prices(updates: list[tuple[str, str, str | None]], at: datetime) -> str:
    """A `price_update_batch`; each update is (mint, price in SOL, price in USD or None), prices as decimal text."""
    rows = [
        {"tokenAddress": mint, "price": _number(sol), "priceUsd": None if usd is None else _number(usd)}
        for mint, sol, usd in updates
    ]
    time = stamp(at)
    return _text({"type": "price_update_batch", "data": {"updates": rows, "timestamp": time}, "timestamp": time})


def _number(text: str) -> orjson.Fragment:
    # A decimal's digits are a JSON number as they stand; no float comes near them.
    return orjson.Fragment(text)


def _text(body: dict[str, Any]) -> str:
    return orjson.dumps(body).decode()
