"""Which other sites' scripts may call the API: the origins an operator lists in `CORS_ORIGIN`, else none."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

METHODS = "GET, POST, PUT, DELETE, PATCH, OPTIONS"
HEADERS = (
    "Content-Type, Authorization, X-API-Key, Nexgent-Signature, Idempotency-Key, If-Match, If-None-Match,"
    " Last-Event-ID, X-Request-Id"
)
EXPOSED = (
    "X-Request-Id, Idempotent-Replayed, Retry-After, ETag, Link, X-Total-Count, Content-Disposition,"
    " RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
)


class Cors:
    """Answers preflights and marks answers for listed origins; others get no header, so the browser refuses."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        origin = request.headers.get("Origin")
        if origin is None or not request.path_info.startswith("/api/"):
            return self.get_response(request)
        is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        response = HttpResponse(status=204) if is_preflight else self.get_response(request)
        response["Vary"] = ", ".join(filter(None, [response.get("Vary", ""), "Origin"]))
        if origin in settings.CORS_ORIGIN:
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Allow-Credentials"] = "true"
            response["Access-Control-Expose-Headers"] = EXPOSED
            if is_preflight:
                response["Access-Control-Allow-Methods"] = METHODS
                response["Access-Control-Allow-Headers"] = HEADERS
                response["Access-Control-Max-Age"] = "600"
        return response
