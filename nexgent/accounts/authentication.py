"""How a request proves who it is: access token, API key, or the session of a page.

One authenticator for all three, so that a request with a credential costs one statement and one without costs none.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, SessionAuthentication

from nexgent import clock
from nexgent.accounts import keys, principals, services, sessions, signed_keys, tokens
from nexgent.accounts.models import User
from nexgent.accounts.principals import Principal
from nexgent.api.addresses import client_address
from nexgent.errors import Refusal

KEY_PREFIX = "nex_"
KEY_LENGTHS = range(36, 41)


class Credentials(BaseAuthentication):
    """`X-API-Key`, then `Authorization: Bearer` (a token, or a key that begins with `nex_`), then the session."""

    def authenticate(self, request: Any) -> tuple[User, Principal] | None:
        principal = self._principal(request)
        request._request.principal = principal
        return None if principal is None else (principal.user, principal)

    def authenticate_header(self, request: Any) -> str:
        return 'Bearer realm="api"'

    def _principal(self, request: Any) -> Principal | None:
        key = request.META.get("HTTP_X_API_KEY")
        if key is not None:
            return _of_key(key.strip(), request)
        kind, _, credential = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        credential = credential.strip()
        if kind.lower() == "bearer" and credential:
            return _of_key(credential, request) if credential.startswith(KEY_PREFIX) else _of_token(credential)
        if kind:
            raise tokens.refused("Use a Bearer token or an API key.")
        return _of_session(request)


def _of_token(token: str) -> Principal:
    principal = tokens.verify_access(token)
    is_noted = principal.used_at is not None and clock.now() - principal.used_at < sessions.USE_WRITTEN
    if principal.session_id is not None and not is_noted:
        sessions.seen_token(principal.session_id)
    return principal


def _of_key(raw: str, request: Any) -> Principal:
    principal = principals.of_key(raw) if len(raw) in KEY_LENGTHS and raw.startswith(KEY_PREFIX) else None
    if principal is None:
        raise tokens.refused("The API key is not valid.")
    signed_keys.check(principal, request._request)
    keys.admit(principal, client_address(request))
    return principal


def _of_session(request: Any) -> Principal | None:
    user = getattr(request._request, "user", None)
    if user is None or not user.is_authenticated or not user.is_active:
        return None
    # A page's script sends the CSRF token; a foreign site's form cannot.
    SessionAuthentication().enforce_csrf(request)
    return principals.of_user(user.pk, proved_at=sessions.proved_at(request._request.session))


class EmailBackend(ModelBackend):
    """Sign-in by a form that knows no second factor: whoever has one is refused."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        email = username or kwargs.get("email")
        if not email or password is None:
            return None
        address = client_address(request) if request is not None else "local"
        try:
            return services.sign_in(email=email, password=password, address=address)
        except Refusal:
            return None  # the form says the same sentence whatever the reason
