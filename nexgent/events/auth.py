"""Who opens a socket. The authenticators live in `nexgent.accounts`, a layer above, and are named in settings.

In this order: `?ticket=`, `?token=` (the reference's way; off with WS_QUERY_TOKEN=off), a bearer in
`Sec-WebSocket-Protocol`, the session cookie with an Origin check.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils.module_loading import import_string

from nexgent.errors import Refusal
from nexgent.events import tickets

BEARER = "bearer"  # the subprotocol offered before the token: `new WebSocket(url, ["bearer", token])`


@dataclass(frozen=True, slots=True)
class Credential:
    """Who a connection belongs to and how to ask again.

    `keys` name what a revocation ends: the token's id and its session's, a page's session key, an API key's id.
    """

    principal: Any
    way: str  # ticket | token | bearer | session | key
    keys: frozenset[str]
    expires_at: datetime | None
    again: Callable[[], Any]  # the principal now; raises Refusal when the credential ended
    agent_id: UUID | None = None  # a ticket may be good for one agent only

    @property
    def user_id(self) -> UUID:
        return UUID(str(self.principal.user.pk))


def of_scope(scope: dict[str, Any]) -> Credential | None:
    """The credential of a handshake; None when there is none or it is not good. Queries the database."""
    try:
        credential = _of_handshake(scope)
        if credential is not None:
            admit(credential.principal)
    except Refusal:
        return None
    return credential


def admit(principal: Any) -> None:
    """Raises `Refusal` PASSWORD_CHANGE_REQUIRED for a person whose first password is still to be changed."""
    if principal.kind == "user" and principal.user.must_change_password:
        raise Refusal("PASSWORD_CHANGE_REQUIRED", "Change the first password before anything else.")


def _of_handshake(scope: dict[str, Any]) -> Credential | None:
    query = parse_qs(scope.get("query_string", b"").decode("latin1"))
    subprotocols = scope.get("subprotocols") or []
    if "ticket" in query:
        return _of_ticket(query["ticket"][0])
    if "token" in query:
        return _of_token(query["token"][0], way="token") if settings.WS_QUERY_TOKEN else None
    if len(subprotocols) == 2 and subprotocols[0] == BEARER:
        return _of_token(subprotocols[1], way="bearer")
    return _of_session(scope)


def _of_ticket(ticket: str) -> Credential:
    facts = tickets.redeem_ticket(ticket)
    again = partial(_signed_in, facts.session_key) if facts.session_key else partial(_of_session_of_tokens, facts)
    keys = frozenset(filter(None, (facts.session_key, facts.token_jti, facts.session_id)))
    return Credential(again(), "ticket", keys, None, again, agent_id=facts.agent_id)


def _of_token(token: str, *, way: str) -> Credential:
    verify = import_string(settings.WS_TOKEN_VERIFIER)
    principal = verify(token)
    return Credential(principal, way, keys_of(principal), principal.expires_at, partial(verify, token))


def of_request(principal: Any, *, session_key: str, again: Callable[[], Any]) -> Credential:
    """The credential of an HTTP request that becomes a stream; `again` authenticates the same request anew."""
    if principal.kind == "key":
        if principal.signing_secret:  # a signature is good for minutes, a stream for days
            raise Refusal("AUTHORIZATION_ERROR", "An API key that signs its requests opens no stream.")
        return Credential(principal, "key", frozenset({str(principal.key_id)}), None, again)
    if principal.token_jti is not None:
        return Credential(principal, "bearer", keys_of(principal), principal.expires_at, again)
    return Credential(principal, "session", frozenset({session_key}), None, partial(_signed_in, session_key))


def keys_of(principal: Any) -> frozenset[str]:
    """What ends an access token: its own id and that of its session."""
    return frozenset(str(key) for key in (principal.token_jti, principal.session_id) if key is not None)


def _of_session(scope: dict[str, Any]) -> Credential | None:
    headers = dict(scope.get("headers", []))
    if not _same_origin(headers):
        return None
    try:
        cookies = SimpleCookie(headers.get(b"cookie", b"").decode("latin1"))
    except CookieError:
        return None
    morsel = cookies.get(settings.SESSION_COOKIE_NAME)
    if morsel is None:
        return None
    key = morsel.value
    principal = _signed_in(key)
    return Credential(principal, "session", frozenset({key}), None, partial(_signed_in, key))


def _same_origin(headers: dict[bytes, bytes]) -> bool:
    # A browser sends Origin with every handshake, and the cookie with handshakes of foreign pages too.
    try:
        origin = urlsplit(headers.get(b"origin", b"").decode("latin1"))
    except ValueError:
        return False
    host = headers.get(b"host", b"").decode("latin1")
    if not origin.netloc or origin.scheme not in ("http", "https"):
        return False
    return origin.netloc == host or f"{origin.scheme}://{origin.netloc}" in settings.CSRF_TRUSTED_ORIGINS


def _signed_in(session_key: str) -> Any:
    request = HttpRequest()
    store: type[SessionBase] = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    request.session = store(session_key)
    user = get_user(request)
    if not user.is_authenticated:
        raise Refusal("AUTHENTICATION_ERROR", "Not signed in.")
    return _person(UUID(str(user.pk)))


def _of_session_of_tokens(facts: tickets.Ticket) -> Any:
    """The person as long as the session lives that asked for the ticket; the access token itself may expire."""
    principal = import_string(settings.WS_PRINCIPAL_OF_SESSION)(
        user_id=facts.user_id,
        jti=UUID(facts.token_jti or str(facts.user_id)),
        session_id=UUID(facts.session_id) if facts.session_id else None,
        expires_at=None,
    )
    if principal is None:
        raise Refusal("AUTHENTICATION_ERROR", "The session has ended.")
    return principal


def _person(user_id: UUID) -> Any:
    principal = import_string(settings.WS_PRINCIPAL_OF_USER)(user_id)
    if principal is None:
        raise Refusal("AUTHENTICATION_ERROR", "This user may not sign in.")
    return principal
