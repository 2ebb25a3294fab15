"""`ETag` and `If-None-Match` of lists: who asks again for what has not changed gets 304 without a body.

The tag is a hash of the rendered body, so that no list has to know what it depends on. The query still runs; the bytes
stay home. An answer with a tag of its own (a configuration's version) is compared by that.
"""

import hashlib
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response

from nexgent.api.pagination import TOTAL_HEADER

PREFIX = "/api/v1/"
LIST_BEGINS = (b"[", b'{"items":')
KEPT = ("Link", TOTAL_HEADER)
"""Headers of a page that a 304 repeats."""


class ListTags:
    """Tags JSON lists of the API and answers 304 to whoever has them already."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.method != "GET" or response.status_code != 200 or not request.path_info.startswith(PREFIX):
            return response
        if response.get("Content-Type") != "application/json" or response.streaming:
            return response
        if "ETag" not in response:
            if not response.content.startswith(LIST_BEGINS):
                return response
            response["ETag"] = tag(response.content)
        response.setdefault("Cache-Control", "private, no-cache")
        if "If-None-Match" not in request.headers:
            return response
        answer = get_conditional_response(request, etag=response["ETag"], response=response)
        assert answer is not None
        for name in KEPT:
            if name in response and name not in answer:
                answer[name] = response[name]
        return answer


def tag(body: bytes) -> str:
    """A weak tag: the same rows, not necessarily the same bytes on the way. No secret, so the fastest hash will do."""
    return f'W/"{hashlib.sha1(body, usedforsecurity=False).hexdigest()[:24]}"'
