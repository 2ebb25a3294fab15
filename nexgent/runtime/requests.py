"""Django's HTTP handler for a product whose middleware and views are all synchronous: one thread per request.

Django's own runs the chain on the event loop, goes to a thread and back for each middleware that is synchronous, makes
a thread of its own for every request and asks it three times. Here the whole request is one call in a thread that is
kept: begin, middleware, view, end; the database connection is back in the pool before the first byte is sent. A stream
of events leaves the thread too: the hub writes it. A sheet reads its next batch when the one before it is sent.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.http import FileResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from nexgent.api.sheets import Sheet
from nexgent.events.sse import EventStream

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
THREADS_MAX = 64
"""Many more than database connections: a request that waits for an order holds none."""

_threads = ThreadPoolExecutor(max_workers=THREADS_MAX, thread_name_prefix="request")


class ThreadedHandler(ASGIHandler):
    """Answers each request in one thread: middleware, view, database connection."""

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"this handler answers HTTP, not {scope['type']}")
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()
        response, parts = await loop.run_in_executor(_threads, context.run, self._answer, scope, body)
        headers = _headers(response)
        if isinstance(response, EventStream | Sheet) and scope["method"] != "HEAD":
            instead = await response.serve(receive, send, headers=headers)
            if instead is None:
                return
            own = {name.lower() for name, _ in _headers(instead)}
            headers = [*_headers(instead), *(pair for pair in headers if pair[0].lower() not in own)]
            response, parts = instead, [instead.content]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        last = parts.pop() if parts else b""
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": last, "more_body": False})

    def _answer(self, scope: dict[str, Any], body: Any) -> tuple[HttpResponseBase, list[bytes]]:
        """The whole life of a request; the answer and its body."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, response = self.create_request(scope, body)
        if request is not None:
            response = self.get_response(request)
        response._handler_class = self.__class__
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        try:
            if isinstance(response, Sheet):  # it reads as it is sent
                return response, []
            return response, list(response.streaming_content) if response.streaming else [response.content]
        finally:
            response.close()
            body.close()


def _headers(response: HttpResponseBase) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode("ascii"), value.encode("latin1")) for name, value in response.items()]
    cookies = [(b"Set-Cookie", each.output(header="").encode("ascii").strip()) for each in response.cookies.values()]
    return headers + cookies
