"""Django's HTTP handler for a product whose middleware and views are all synchronous: one thread per request.

Django's own runs the chain on the event loop and goes to a thread and back for each middleware that is synchronous:
a dozen switches a request, most of the processor time of a small one. Here the whole chain is one call in the request's
thread.
"""

from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class ThreadedHandler(ASGIHandler):
    """Answers each request in one thread: middleware, view, database connection."""

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        answer: Any = sync_to_async(self.get_response, thread_sensitive=True)
        response: HttpResponseBase = await answer(request)
        return response
