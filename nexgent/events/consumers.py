"""The two sockets: `/ws`, the reference's protocol of one agent, and `/ws/ui/`, HTML fragments for the pages.

Plain ASGI applications: they authenticate, open at one moment of the database, hand delivery to the hub and listen.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import orjson
import redis
from django.db import Error as DatabaseError

from nexgent import clock
from nexgent.api.wire import stamp
from nexgent.events import auth, control, hub, registry, selectors
from nexgent.events.auth import BEARER, Credential
from nexgent.events.connection import AgentConnection, Connection
from nexgent.events.outlet import Outlet
from nexgent.events.records import RESET, Record, message
from nexgent.events.streams import Follower
from nexgent.events.threads import in_thread
from nexgent.events.transport import Send, SocketWire

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[dict[str, Any]]]


async def agent_socket(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """`/ws?token=&agentId=[&since=]`: snapshot or replay, events with their numbers, prices of held tokens."""
    credential = await _admit(scope, receive, send)
    if credential is None:
        return
    query = parse_qs(scope.get("query_string", b"").decode("latin1"))
    agent_id = _uuid(query.get("agentId", [str(credential.agent_id)])[0])
    connection = AgentConnection(Outlet(SocketWire(send)), credential, agent_id=agent_id)
    is_meant = credential.agent_id in (None, agent_id)
    is_visible = is_meant and agent_id is not None and await _is_visible(credential, agent_id)
    if agent_id is None or not is_visible:
        connection.end("Agent not found")
        return
    session = _AgentSession(connection, agent_id, number(query.get("since", [""])[0]))
    await _run(connection, session, receive)


async def ui_socket(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """`/ws/ui/[?agent=][&since=<stream>:<number>,...]`: htmx out-of-band fragments for a signed-in person's streams.

    `since` names the numbers the page was rendered at, so that nothing between page and socket is lost.
    """
    credential = await _admit(scope, receive, send, ways=("session",))
    if credential is None:
        return
    query = parse_qs(scope.get("query_string", b"").decode("latin1"))
    connection = Connection(Outlet(SocketWire(send)), credential)
    only, since = _uuid(query.get("agent", [""])[0]), _places(query.get("since", [""])[0])
    await _run(connection, _UiSession(connection, only=only, since=since), receive)


async def _run(connection: Connection, session: "_AgentSession | _UiSession", receive: Receive) -> None:
    """Take a seat, open, and listen until the client is gone."""
    live = hub.current()
    if not await live.seat(connection):
        connection.outlet.close(1013, "Too many connections")
        return
    live.add(connection)
    if connection.is_exclusive:
        control.replaced(connection.agent_ids[0], connection.id)
    opening = asyncio.create_task(session.open())
    try:
        await _listen(receive, connection, session.receive)
    finally:
        opening.cancel()
        live.remove(connection)
        connection.outlet.stop()


class _AgentSession:
    """What one agent socket says and hears."""

    def __init__(self, connection: AgentConnection, agent_id: UUID, since: int | None) -> None:
        self.connection = connection
        self.outlet = connection.outlet
        self.agent_id = agent_id
        self.since = since
        self.follower = Follower(agent_id, self.outlet, self._reopen)
        self._reopening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Follow the stream first, then read it: what comes meanwhile is delivered behind the opening."""
        self.outlet.push(message("connected", {"agentId": str(self.agent_id), "timestamp": stamp(clock.now())}))
        hub.current().follow(self.connection, self.follower)
        await self._start(self.since)

    async def _start(self, since: int | None) -> None:
        try:
            opening = await in_thread(selectors.opening, self.agent_id, since=since)
        except Exception:  # the protocol has a code for it, and the client comes back
            logger.exception("a connection could not be opened")
            self.outlet.close(1011, "Connection failed")
            return
        if opening.snapshot is not None:
            data = {**opening.snapshot, "timestamp": stamp(clock.now())}
            self.outlet.push(message("initial_data", data, seq=opening.seq))
        await self.outlet.push_all(record.frame for record in opening.replay)
        hub.current().place(self.follower, seq=opening.seq, held=opening.held)

    def _reopen(self) -> None:
        self._reopening = asyncio.create_task(self._start(None))

    async def receive(self, text: str | None) -> None:
        """Answer a client's message; unknown ones are ignored."""
        try:
            body = orjson.loads(text or "")
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            self.outlet.push(message("error", {"message": "Invalid message"}))
            return
        kind = body.get("type")
        if kind in ("ping", "pong"):
            self.connection.heard()
        if kind == "ping":
            self.outlet.push(message("pong"))
        elif kind == "subscribe":
            self._subscribe(body)

    def _subscribe(self, body: dict[str, Any]) -> None:
        data = body.get("data")
        wanted = (data if isinstance(data, dict) else body).get("agentId")
        if wanted is None or _uuid(str(wanted)) == self.agent_id:
            self.outlet.push(message("subscribed", {"agentId": str(self.agent_id)}))
        else:
            self.outlet.push(message("error", {"message": "This connection belongs to another agent"}))


class _UiSession:
    """The streams of one page."""

    def __init__(self, connection: Connection, *, only: UUID | None, since: dict[UUID, int]) -> None:
        self.connection = connection
        self.outlet = connection.outlet
        self.only = only
        self.since = since

    async def open(self) -> None:
        """Follow first, then read the numbers, and replay what happened since the page was rendered."""
        live = hub.current()
        try:
            streams = await in_thread(registry.streams, self.connection.credential.principal)
            chosen = [stream for stream in streams if self.only in (None, stream)]
            followers = [Follower(stream, self.outlet, self._reset, form=None) for stream in chosen]
            for follower in followers:
                live.follow(self.connection, follower)
            numbers = await in_thread(selectors.seqs, chosen)
            held = await in_thread(registry.held_mints, chosen)
        except DatabaseError:
            logger.exception("a page's connection could not be opened")
            self.outlet.close(1011, "Connection failed")
            return
        for follower in followers:
            stream = follower.stream_id
            await self._catch_up(stream, numbers[stream])
            live.place(follower, seq=numbers[stream], held=held[stream])

    async def _catch_up(self, stream: UUID, seq: int) -> None:
        since = self.since.get(stream, seq)
        if since == seq:
            return
        records = await in_thread(selectors.kept_between, stream, since, seq)
        if records is None:
            records = [Record(stream, seq, RESET, "{}", clock.now())]
        await self.outlet.push_all([text for r in records if (text := await in_thread(registry.html, r))])

    async def receive(self, _: str | None) -> None:
        """Pages talk to the server by requests, not by the socket."""

    def _reset(self) -> None:
        # A page that is a thousand events behind is not worth catching up: the browser reconnects and renders anew.
        self.outlet.close(1013, "Too far behind")


async def _admit(
    scope: dict[str, Any], receive: Receive, send: Send, *, ways: tuple[str, ...] = ()
) -> Credential | None:
    """Accept the handshake of a good credential; refuse any other before accept (HTTP 403)."""
    await receive()
    try:
        credential = None if hub.current().is_closing else await in_thread(auth.of_scope, scope)
    except (DatabaseError, redis.RedisError):
        logger.exception("a credential could not be checked")
        credential = None
    if credential is None or (ways and credential.way not in ways):
        await send({"type": "websocket.close", "code": 1008})
        return None
    await send({"type": "websocket.accept", "subprotocol": BEARER if credential.way == "bearer" else None})
    return credential


async def _is_visible(credential: Credential, agent_id: UUID) -> bool:
    try:
        return await in_thread(registry.agent_visible, credential.principal, agent_id)
    except DatabaseError:
        logger.exception("an agent could not be looked up")
        return False


async def _listen(receive: Receive, connection: Connection, on_text: Callable[[str | None], Awaitable[None]]) -> None:
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        if event["type"] != "websocket.receive" or not connection.outlet.is_open:
            continue
        if connection.is_flood():
            connection.end("Too many messages")
        else:
            await on_text(event.get("text"))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def number(text: str) -> int | None:
    """The number of an event as a client names it; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _places(text: str) -> dict[UUID, int]:
    places = {}
    for part in text.split(",")[:200]:
        stream, _, seq = part.partition(":")
        stream_id, place = _uuid(stream), number(seq)
        if stream_id is not None and place is not None:
            places[stream_id] = place
    return places
