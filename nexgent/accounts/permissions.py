"""Whether a principal may call an endpoint's method: its key's scope, its role, and a fresh proof where money moves."""

from typing import Any

from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission

from nexgent.accounts import step_up
from nexgent.accounts.models import Role
from nexgent.accounts.principals import Principal
from nexgent.errors import Refusal

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_ALL_AGENTS = frozenset({"signals"})
"""Scopes whose writes reach every agent of the workspace: not for members who are limited to some."""


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
        elif principal.user.must_change_password and not getattr(view, "is_for_first_password", False):
            raise Refusal("PASSWORD_CHANGE_REQUIRED", "Change the first password before anything else.")
        scope = getattr(view, "scopes", {}).get(method, "")
        least = least_role(view, method)
        if not principal.has_role(least):
            raise Refusal("AUTHORIZATION_ERROR", f"Your role may not do this; it takes {least.value}.")
        if principal.is_limited and method not in _SAFE and scope in _ALL_AGENTS:
            raise Refusal("AUTHORIZATION_ERROR", "This reaches every agent, and you are limited to some.")
        asks_for_proof = getattr(view, "step_up", {}).get(method)
        if asks_for_proof is not None and asks_for_proof(request):
            step_up.require(principal)
        return True


def least_role(view: Any, method: str) -> Role:
    """The least role that may call this method: as the endpoint says, else viewers read and traders write."""
    said: Role | None = getattr(view, "roles", {}).get(method)
    if said is not None:
        return said
    return Role.VIEWER if method in _SAFE else Role.TRADER
