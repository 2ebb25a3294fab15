"""What every request gets before it meets a view: an id that the answer, the log and the error body share."""

import random
import re
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

_ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def _new_id() -> str:
    # No secret: not worth a system call on every request.
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


class RequestId:
    """`x-request-id` of the caller when it is harmless text, else a new one; and API paths without their last slash."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("x-request-id", "")
        request.request_id = given if _ACCEPTED.fullmatch(given) else _new_id()  # type: ignore[attr-defined]
        if request.path_info.startswith("/api/") and request.path_info.endswith("/"):
            request.path_info = request.path_info.rstrip("/")
        with structlog.contextvars.bound_contextvars(request_id=request.request_id):  # type: ignore[attr-defined]
            response = self.get_response(request)
        response["x-request-id"] = request.request_id  # type: ignore[attr-defined]
        return response
