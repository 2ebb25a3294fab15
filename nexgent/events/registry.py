"""What domain apps offer to live connections. `nexgent.events` renders nothing and imports no domain app.

Each app calls `register` from `AppConfig.ready()`; every offer is optional and several apps add up: snapshots are
merged, HTML is joined, an agent is visible when one app says so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from nexgent.events.records import Record

# mint -> (price in SOL, price in USD or None), both decimal text
Prices = Mapping[str, tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class Live:
    """The offers of one app. All are called in worker threads and may query the database.

    `snapshot` and `held_mints` run in the read-only transaction that also reads the stream's number.
    `principal` is what the authenticators of `nexgent.accounts` return.
    """

    snapshot: Callable[[UUID], dict[str, Any]] | None = None  # of an agent: keys of `initial_data`
    agent_visible: Callable[[Any, UUID], bool] | None = None  # may this principal see that agent
    streams: Callable[[Any], Iterable[UUID]] | None = None  # agents and workspaces of this principal, for the UI
    workspace_streams: Callable[[UUID], Iterable[UUID]] | None = None  # agents and the workspace itself, for webhooks
    html: Callable[[Record], str | None] | None = None  # an event as htmx out-of-band fragments
    price_html: Callable[[UUID, Prices], str | None] | None = None  # changed prices of an agent as fragments
    held_mints: Callable[[Sequence[UUID]], Mapping[UUID, Iterable[str]]] | None = None  # open positions per agent


_apps: dict[str, Live] = {}


def register(app: str, live: Live) -> None:
    """Offer `live` in the name of `app`; a second call of the same app replaces the first."""
    _apps[app] = live


def unregister(app: str) -> None:
    """Take back what `app` offered."""
    _apps.pop(app, None)


def snapshot(agent_id: UUID) -> dict[str, Any]:
    """The data of `initial_data`, without its timestamp."""
    data: dict[str, Any] = {"positions": []}
    for live in _apps.values():
        if live.snapshot is not None:
            data.update(live.snapshot(agent_id))
    return data


def agent_visible(principal: Any, agent_id: UUID) -> bool:
    """Whether `principal` may follow this agent."""
    return any(live.agent_visible(principal, agent_id) for live in _apps.values() if live.agent_visible is not None)


def streams(principal: Any) -> list[UUID]:
    """The streams that a principal's pages follow, sorted."""
    return sorted({stream for live in _apps.values() if live.streams is not None for stream in live.streams(principal)})


def workspace_streams(workspace_id: UUID) -> list[UUID]:
    """The streams that tell of a workspace, sorted."""
    offers = (live.workspace_streams for live in _apps.values() if live.workspace_streams is not None)
    return sorted({stream for streams_of in offers for stream in streams_of(workspace_id)})


def html(record: Record) -> str:
    """All fragments of an event; empty when no app renders it."""
    return "".join(live.html(record) or "" for live in _apps.values() if live.html is not None)


def price_html(agent_id: UUID, prices: Prices) -> str:
    """All fragments of an agent's changed prices; empty when no app renders them."""
    return "".join(live.price_html(agent_id, prices) or "" for live in _apps.values() if live.price_html is not None)


def held_mints(agent_ids: Sequence[UUID]) -> dict[UUID, set[str]]:
    """The mints each agent holds open positions in."""
    held: dict[UUID, set[str]] = {agent_id: set() for agent_id in agent_ids}
    for live in _apps.values():
        if live.held_mints is not None and agent_ids:
            for agent_id, mints in live.held_mints(agent_ids).items():
                held[agent_id].update(mints)
    return held
