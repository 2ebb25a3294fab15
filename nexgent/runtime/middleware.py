"""Answers for every page of an installation that nobody owns yet; and how many requests there were, and how fast."""

import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from nexgent.accounts import services as accounts
from nexgent.api import errors
from nexgent.api.rendering import dumps
from nexgent.runtime import counters

SENTENCE = "There is no administrator yet. Make the first one on the server: python manage.py create_admin"
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Nexgent: no administrator yet</title>
<body><h1>No administrator yet</h1><p>Make the first one on the server:</p>
<pre>python manage.py create_admin</pre></body></html>
"""


class AdministratorRequired:
    """503 with the command that helps until an administrator exists; health and static files stay."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.is_settled = False  # users are never all deleted: once seen, not asked again

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if self.is_settled or not settings.REQUIRE_ADMINISTRATOR or self._is_open(request.path_info):
            return self.get_response(request)
        self.is_settled = accounts.has_administrator()
        if self.is_settled:
            return self.get_response(request)
        if request.path_info.startswith("/api/"):
            body = errors.body_of("NO_ADMINISTRATOR", SENTENCE, None, getattr(request, "request_id", ""))
            return HttpResponse(dumps(body), status=503, content_type="application/json")
        return HttpResponse(_PAGE, status=503)

    @staticmethod
    def _is_open(path: str) -> bool:
        return path.startswith(("/health", "/api/v1/health", settings.STATIC_URL))


REQUESTS, BUCKETS, SUM = "http_requests", "http_seconds_bucket", "http_microseconds"
LATENCIES_MS = (5, 10, 25, 50, 100, 250, 1_000, 5_000)
"""Upper bounds of the buckets; slower ones fall into the last, which has none."""
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


class RequestsCounted:
    """Counts requests by method, route and status, and their latency by route. Static files have been served before.

    The route is the pattern that matched, never the path: ids would make a series of each.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begun = time.perf_counter()
        response = self.get_response(request)
        took = time.perf_counter() - begun
        route = _route_of(request)
        method = request.method if request.method in _METHODS else "OTHER"
        bucket = next((str(bound) for bound in LATENCIES_MS if took * 1000 <= bound), "")
        counters.add_all(
            {
                (REQUESTS, str(method), route, str(response.status_code)): 1,
                (BUCKETS, route, bucket): 1,
                (SUM, route): round(took * 1_000_000),
            }
        )
        return response


def _route_of(request: HttpRequest) -> str:
    match = request.resolver_match
    if match is None:
        return "unmatched"
    return match.view_name if match.url_name else match.route
