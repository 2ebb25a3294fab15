"""The content security policy: nothing inline, nothing foreign, a nonce per answer. The admin's theme needs more."""

from typing import Any

from csp.constants import NONCE, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts

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


class ContentPolicy(CSPMiddleware):
    """`PAGES` for everything, `ADMIN` under /admin/ alone."""

    def get_policy_parts(self, request: Any, response: Any, report_only: bool = False) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if not report_only:
            parts.config = parts.config or (ADMIN if request.path_info.startswith("/admin/") else PAGES)
        return parts
