"""Server-sent events: what a socket delivers, over plain HTTP, for clients that only listen.

A request is authenticated like any other; its answer is then handed to the hub and occupies neither a thread nor a
database connection. Opening and resuming are those of the sockets. `Last-Event-ID` is the number of the one stream
that is followed, or `<stream>:<number>,…` where there are several; an event of another topic, or one that the caller's
key may not see, moves it on unseen, so that numbers have no gaps.
"""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse

from nexgent import clock
from nexgent.api.errors import body_of
from nexgent.api.rendering import dumps
from nexgent.api.wire import stamp
from nexgent.errors import InvalidInput, status_of
from nexgent.events import hub, selectors
from nexgent.events.auth import Credential
from nexgent.events.connection import StreamConnection
from nexgent.events.outlet import Outlet
from nexgent.events.records import Record, message, sse, sse_place
from nexgent.events.streams import Follower, Form
from nexgent.events.threads import in_thread
from nexgent.events.topics import Topic, View
from nexgent.events.transport import Send, StreamWire

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[dict[str, Any]]]
_FULL = ("TOO_MANY_CONNECTIONS", "Too many open connections. Close one, or try again later.")
_RETRY_MS = 1000
_AGENTS_CHANGED = frozenset({"agent_created", "agent_archived"})


class EventStream(StreamingHttpResponse):
    """An answer that the web server's handler hands to the hub (`serve`); anybody else sees an empty body.

    `streams` are followed; `workspace_id` too, where new agents should end the stream so that its client comes back
    and gets them. `last_event_id` as the client sent it, "" for none.
    """

    def __init__(
        self,
        topic: Topic,
        credential: Credential,
        *,
        streams: Sequence[UUID],
        workspace_id: UUID | None = None,
        last_event_id: str = "",
    ) -> None:
        super().__init__((), content_type="text/event-stream")
        self["Cache-Control"] = "no-store"
        self["X-Accel-Buffering"] = "no"  # a proxy that collects would make a stream of minutes
        self.topic = topic
        self.credential = credential
        self.streams = streams
        self.workspace_id = workspace_id
        self.places = places_of(last_event_id, streams, is_single=workspace_id is None)

    async def serve(self, receive: Receive, send: Send, *, headers: list[tuple[bytes, bytes]]) -> HttpResponse | None:
        """Deliver until either side ends; the answer to give instead when the principal has too many connections."""
        live = hub.current()
        connection = StreamConnection(
            Outlet(StreamWire(send)), self.credential, agent_ids=tuple(self.streams) if self.topic.is_of_agents else ()
        )
        if live.is_closing or not await live.seat(connection):
            connection.outlet.stop()
            return _refused(*_FULL, request_id=self.get("x-request-id", ""))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        live.add(connection)
        opening = asyncio.create_task(_Session(connection, self).open())
        try:
            await _until_gone(receive, connection.outlet)
        finally:
            opening.cancel()
            live.remove(connection)
            connection.outlet.stop()
        return None


class _Session:
    """One stream while it is open."""

    def __init__(self, connection: StreamConnection, stream: EventStream) -> None:
        self.connection = connection
        self.outlet = connection.outlet
        self.topic = stream.topic
        self.view = View(stream.topic, connection.credential.principal)
        self.workspace_id = stream.workspace_id
        self.streams = stream.streams
        self.places = dict(stream.places)
        self.is_single = stream.workspace_id is None
        self._reopening: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Follow and open each stream as a socket does; several ones after the other."""
        live = hub.current()
        self.outlet.push(f"retry: {_RETRY_MS}\n\n")
        try:
            if self.workspace_id is not None:
                await self._watch_agents(self.workspace_id)
            for stream_id in self.streams:
                form = Form(self._event, _price_event if self.view.has_prices else None)
                follower = Follower(stream_id, self.outlet, partial(self._reopen, stream_id), form)
                follower.reopen = partial(self._reopen, follower)
                live.follow(self.connection, follower)
                await self._start(follower, self.places.get(stream_id))
        except Exception:  # the client comes back by itself
            logger.exception("a stream could not be opened")
            self.connection.end("The stream could not be opened.")

    async def _start(self, follower: Follower, since: int | None) -> None:
        stream_id = follower.stream_id
        opening = await in_thread(
            selectors.opening,
            stream_id,
            since=since,
            snapshot=self.view.snapshot,
            has_prices=self.view.has_prices,
        )
        if opening.snapshot is not None:
            self.places[stream_id] = opening.seq
            data = {**opening.snapshot, "timestamp": stamp(clock.now())}
            agent_id = stream_id if self.topic.is_of_agents else None
            text = message("snapshot", data, seq=opening.seq, agent_id=agent_id)
            self.outlet.push(sse("snapshot", text, place=self._place()))
        await self.outlet.push_all(map(self._event, opening.replay))
        hub.current().place(follower, seq=opening.seq, held=opening.held)

    async def _watch_agents(self, workspace_id: UUID) -> None:
        live = hub.current()
        follower = Follower(workspace_id, self.outlet, self._come_back, Form(self._workspace_event, None))
        live.follow(self.connection, follower)
        live.place(follower, seq=(await in_thread(selectors.seqs, [workspace_id]))[workspace_id])

    def _workspace_event(self, record: Record) -> str:
        if record.type in _AGENTS_CHANGED:
            asyncio.get_running_loop().call_soon(self._come_back)
        return ""

    def _come_back(self) -> None:
        self.outlet.close(1000, "Agents changed")

    def _reopen(self, follower: Follower) -> None:
        task = asyncio.create_task(self._start(follower, None))
        self._reopening.add(task)
        task.add_done_callback(self._reopening.discard)

    def _event(self, record: Record) -> str:
        self.places[record.stream_id] = record.seq
        frame = self.view.frame(record)
        return sse_place(self._place()) if frame is None else sse(record.type, frame, place=self._place())

    def _place(self) -> str:
        if self.is_single:
            return str(self.places[self.streams[0]])
        return ",".join(f"{_short(stream_id)}:{seq}" for stream_id, seq in self.places.items())


def places_of(text: str, streams: Iterable[UUID], *, is_single: bool) -> dict[UUID, int]:
    """The numbers of a `Last-Event-ID`, of known streams only. Raises `InvalidInput` for what is none of ours."""
    if not text:
        return {}
    known = {_short(stream_id): stream_id for stream_id in streams}
    pairs = [(next(iter(known), ""), text)] if is_single else [part.partition(":")[::2] for part in text.split(",")]
    if not all(number.isascii() and number.isdigit() and len(number) < 19 for _, number in pairs):
        raise InvalidInput({"Last-Event-ID": "is not one of this stream"})
    return {known[name]: int(number) for name, number in pairs if name in known}


def _short(stream_id: UUID) -> str:
    return base64.urlsafe_b64encode(stream_id.bytes).decode().rstrip("=")


def _price_event(text: str) -> str:
    return sse("price_update_batch", text)


async def _until_gone(receive: Receive, outlet: Outlet) -> None:
    """Wait until the client is gone or this side has ended the stream."""
    waits = [asyncio.create_task(_disconnected(receive)), asyncio.create_task(outlet.ended.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


def _refused(code: str, text: str, *, request_id: str) -> HttpResponse:
    response = HttpResponse(
        dumps(body_of(code, text, None, request_id)), status=status_of(code), content_type="application/json"
    )
    response["Retry-After"] = "5"
    return response
