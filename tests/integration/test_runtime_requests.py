"""The HTTP handler answers a request in one thread, whatever stands in the chain of middleware."""

import asyncio
import inspect
import threading

from asgiref.testing import ApplicationCommunicator
from django.http import HttpRequest, HttpResponse

from nexgent.asgi import http
from nexgent.runtime.requests import ThreadedHandler

SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "path": "/nowhere",
    "query_string": b"",
    "headers": [(b"host", b"localhost")],
}


def test_the_product_answers_with_the_handler_of_one_thread():
    assert isinstance(http, ThreadedHandler)
    assert not inspect.iscoroutinefunction(http._middleware_chain)


async def test_the_whole_chain_runs_in_a_thread_beside_the_event_loop():
    seen: list[threading.Thread] = []

    def chain(request: HttpRequest) -> HttpResponse:
        seen.append(threading.current_thread())
        return HttpResponse(f"{request.path} answered", status=203)

    handler = ThreadedHandler()
    handler._middleware_chain = chain
    client = ApplicationCommunicator(handler, SCOPE)
    await client.send_input({"type": "http.request", "body": b""})
    start, body = await client.receive_output(5), await client.receive_output(5)

    assert start["status"] == 203
    assert body["body"] == b"/nowhere answered"
    assert len(seen) == 1
    assert seen[0] is not threading.current_thread()
    await asyncio.wait_for(client.wait(), 5)
