"""Headers that tell a browser what not to do, and which headers of a request are believed.

The content security policy: nothing inline, nothing foreign, a nonce per answer. The admin's theme needs more.
"""

from collections.abc import Callable
from typing import Any

from csp.constants import NONCE, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from nexgent.api.addresses import is_trusted

PAGES = {
    "default-src": [NONE],
    "script-src": [NONCE],
    "style-src": [NONCE],
    "font-src": [SELF],
    "img-src": [SELF, "data:"],
    "connect-src": [SELF],
    "form-action": [SELF],
    "base-uri": [NONE],
    "frame-ancestors": [NONE],
}
ADMIN = {
    **PAGES,
    "script-src": [SELF, UNSAFE_EVAL, UNSAFE_INLINE],
    "style-src": [SELF, UNSAFE_INLINE],
    "font-src": [SELF, "data:"],
}


DATA = "default-src 'none'; frame-ancestors 'none'"
"""For answers that are no pages: nothing may be loaded, even if somebody makes a browser show one."""
YEAR_SECONDS = 31_536_000
PERMISSIONS = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "microphone",
        "payment",
        "usb",
    )
)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORWARDED = ("HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT", "HTTP_FORWARDED")


class Headers:
    """Middleware: the same headers on every answer; what proxies forward counts from `TRUSTED_PROXIES` only.

    Nothing of an answer to a write is kept by anybody (it may hold a token or a key), and nothing of the API by a
    cache that others share.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.always = {"Permissions-Policy": PERMISSIONS, "Cross-Origin-Resource-Policy": "same-origin"}
        if settings.PUBLIC_URL.startswith("https://"):
            self.always["Strict-Transport-Security"] = f"max-age={YEAR_SECONDS}"

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_trusted(request.META.get("REMOTE_ADDR") or ""):
            for name in _FORWARDED:
                request.META.pop(name, None)
        response = self.get_response(request)
        for name, value in self.always.items():
            response.headers[name] = value
        if "Cache-Control" not in response.headers:
            if request.method not in _SAFE:
                response.headers["Cache-Control"] = "no-store"
            elif request.path_info.startswith("/api/"):
                response.headers["Cache-Control"] = "private, no-cache"
        return response


class ContentPolicy(CSPMiddleware):
    """`PAGES` for everything that is a page, `ADMIN` under /admin/ alone."""

    def process_response(self, request: Any, response: Any) -> Any:
        if response.headers.get("Content-Type", "").startswith(("application/json", "text/csv", "text/event-stream")):
            response.headers["Content-Security-Policy"] = DATA
            return response
        return super().process_response(request, response)

    def get_policy_parts(self, request: Any, response: Any, report_only: bool = False) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if not report_only:
            parts.config = parts.config or (ADMIN if request.path_info.startswith("/admin/") else PAGES)
        return parts
