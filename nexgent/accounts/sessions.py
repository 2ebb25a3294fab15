"""A person's sessions, of pages and of tokens: begin, list, end. What a session opened ends with it, sockets too."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from django.contrib.auth import login, logout
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.utils.dateparse import parse_datetime

from nexgent import clock
from nexgent.accounts import tokens
from nexgent.accounts.clients import client_of
from nexgent.accounts.models import PageSession, TokenSession, User
from nexgent.accounts.session_store import MADE, PROVED
from nexgent.errors import NotFound
from nexgent.events import control
from nexgent.ids import uuid7

REMEMBERED_SECONDS = 30 * 86_400
USE_WRITTEN = timedelta(minutes=1)
"""A time of last use is written at most this often."""

# Nobody waits to note a use: whoever holds the row notes it, or the next request does.
_SEEN = """
UPDATE accounts_{table} SET used_at = %(now)s WHERE {key} = (
    SELECT {key} FROM accounts_{table} WHERE {key} = %(id)s AND (used_at IS NULL OR used_at < %(before)s)
    FOR NO KEY UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A line of the list of sessions."""

    id: UUID
    kind: Literal["page", "token"]
    address: str
    user_agent: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    is_current: bool


def open_page_session(request: Any, user: User, *, is_remembered: bool) -> None:
    """Sign a person in to the pages. The proof they have just given counts from now."""
    login(request, user, backend="nexgent.accounts.authentication.EmailBackend")
    client, now = client_of(request), clock.now().isoformat()
    made = {"id": str(uuid7()), "at": now, "address": client.address, "userAgent": client.user_agent}
    request.session[MADE], request.session[PROVED] = made, now
    request.session.set_expiry(REMEMBERED_SECONDS if is_remembered else 0)


def close_page_session(request: Any) -> None:
    """Sign out: the session, and the sockets it opened."""
    key = request.session.session_key
    logout(request)
    if key:
        control.revoke(key)


def proved_at(session: Any) -> datetime | None:
    """When the person of a page session last gave a proof."""
    value = session.get(PROVED)
    return parse_datetime(value) if isinstance(value, str) else None


def listed(user_id: UUID, *, current: str | UUID | None) -> list[Session]:
    """The living sessions of a user, the current one first, then the last used.

    `current` is the key of a page session or the id of a token session.
    """
    now = clock.now()
    pages = PageSession.objects.filter(user_id=user_id, expire_date__gt=now)
    found = [
        Session(p.public_id, "page", p.address, p.user_agent, p.created_at, p.used_at, p.expire_date, p.pk == current)
        for p in pages
    ]
    for t in TokenSession.objects.filter(user_id=user_id, revoked_at=None, expires_at__gt=now):
        used = t.used_at or t.created_at
        row = Session(t.id, "token", t.address, t.user_agent, t.created_at, used, t.expires_at, t.id == current)
        found.append(row)
    return sorted(found, key=lambda session: (session.is_current, session.used_at), reverse=True)


def end(user_id: UUID, session_id: UUID) -> None:
    """End one session of this user. Raises `NotFound`."""
    page = PageSession.objects.filter(user_id=user_id, public_id=session_id).first()
    if page is not None:
        key = page.pk
        page.delete()
        control.revoke(key)
        return
    alive = TokenSession.objects.filter(id=session_id, user_id=user_id, revoked_at=None)
    if not alive.update(revoked_at=clock.now()):
        raise NotFound("session")
    control.revoke(str(session_id))


def end_all(user_id: UUID, *, except_page: str | None = None) -> int:
    """End every session of a user, of pages and tokens, and all their sockets; returns how many there were.

    `except_page` is the key of a page session that goes on; its sockets connect again by themselves.
    """
    pages = PageSession.objects.filter(user_id=user_id)
    if except_page is not None:
        pages = pages.exclude(session_key=except_page)
    ended = pages.delete()[0] + tokens.revoke_all(user_id)
    control.sign_out(user_id)
    return ended


def seen_page(key: str) -> None:
    """Note that a page session is in use."""
    _seen("pagesession", "session_key", key)


def seen_token(session_id: UUID) -> None:
    """Note that a token session is in use."""
    _seen("tokensession", "id", session_id)


def _seen(table: str, key: str, value: Any) -> None:
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(_SEEN.format(table=table, key=key), {"id": value, "now": now, "before": now - USE_WRITTEN})


def sweep(*, now: datetime) -> int:
    """Delete page sessions past their end; returns how many went."""
    return PageSession.objects.filter(expire_date__lt=now).delete()[0]


class SessionSeen:
    """Middleware: notes once a minute that the session of a page is in use."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        row = getattr(request.session, "row", None)
        if row is not None and row.user_id and clock.now() - row.used_at > USE_WRITTEN:
            seen_page(row.pk)
        return response
