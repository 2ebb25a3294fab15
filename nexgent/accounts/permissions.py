"""Whether a principal may call an endpoint's method: its key's scope, and its role."""

from typing import Any

from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission

from nexgent.accounts.models import Role
from nexgent.accounts.principals import Principal
from nexgent.errors import Refusal

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Allowed(BasePermission):
    """Checks scope and role of the principal against the endpoint's method."""

    def has_permission(self, request: Any, view: Any) -> bool:
        if getattr(view, "is_public", False) or not hasattr(view, request.method.lower()):
            return True  # a method that does not exist is a 405, whoever asks
        principal: Principal | None = getattr(request, "principal", None)
        if principal is None:
            raise NotAuthenticated("Sign in, or send an access token or an API key.")
        method = "GET" if request.method == "HEAD" else request.method
        if principal.kind == "key":
            scope = getattr(view, "scopes", {}).get(method)
            if scope is None:
                raise Refusal("AUTHORIZATION_ERROR", "API keys cannot do this.")
            if not principal.has_scope(scope):
                raise Refusal("AUTHORIZATION_ERROR", f"This API key lacks the scope {scope}.", details={"scope": scope})
        least = getattr(view, "roles", {}).get(method, Role.VIEWER if method in _SAFE else Role.TRADER)
        if not principal.has_role(least):
            raise Refusal("AUTHORIZATION_ERROR", f"Your role may not do this; it takes {least.value}.")
        return True
