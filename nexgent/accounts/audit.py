"""Who is behind a change, told to the database before anything tracked is written.

Triggers write the audit trail (`migrations/_audit.py`); they cannot know the person, the address or the request. So
every connection looks at what it is about to execute, and a statement that writes a tracked table is preceded by one
that says who: the request's principal, else the task or command that runs. Nothing else pays for it: the statements of
the trade path are told apart by their first words. What speaks to the database past this (psql) is on record as such.
"""

import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from celery import current_task
from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse

from nexgent.accounts.models import AuditEntry, User
from nexgent.accounts.principals import Principal
from nexgent.api.addresses import client_address
from nexgent.api.rendering import dumps

_TABLE = r'(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?"?(\w+)'
_WRITES = re.compile(rf"\s*{_TABLE}", re.I)
_WRITES_WITHIN = re.compile(_TABLE, re.I)
_TRACKED = "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE t.tgname = 'audit'"
_TELL = "SELECT set_config('nexgent.audit', %s, true)"
_BROWSERS = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_PROGRAM = re.compile(r"[\w.-]{1,40}")

_request: ContextVar[HttpRequest | None] = ContextVar("audited_request", default=None)
_proven: ContextVar[User | None] = ContextVar("proven_user", default=None)
_tracked: frozenset[str] = frozenset()
_lock = threading.Lock()


class Audited:
    """Middleware: what this request changes is its principal's doing. Asked only when something tracked changes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = _request.set(request)
        try:
            return self.get_response(request)
        finally:
            _request.reset(token)


def acted(*, kind: str, object_id: str, facts: dict[str, Any]) -> AuditEntry:
    """Put on record what somebody did where no row of a tracked table tells of it."""
    person = who()
    return AuditEntry.objects.create(
        kind=kind,
        object_id=object_id[:100],
        action="acted",
        actor_kind=person["kind"] or "",
        actor_id=person["id"],
        actor=person["actor"] or "",
        address=person.get("address") or "local",
        client=person.get("client") or "",
        request_id=person.get("requestId") or "",
        route=person.get("route") or "",
        after=facts,
    )


@contextmanager
def acting(user: User) -> Iterator[None]:
    """What happens within is this person's doing: they have shown who they are, and have no session yet."""
    token = _proven.set(user)
    try:
        yield
    finally:
        _proven.reset(token)


def watch(connection: Any, **_: Any) -> None:
    """Receiver of `connection_created`: look at what this connection executes."""
    if _announce not in connection.execute_wrappers:
        connection.execute_wrappers.append(_announce)


def _announce(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    if not _is_tracked(sql):
        return execute(sql, params, many, context)
    if not context["connection"].get_autocommit() or context["connection"].in_atomic_block:
        _tell()
        return execute(sql, params, many, context)
    with transaction.atomic():  # the word ends with its transaction, so that no other request inherits it
        _tell()
        return execute(sql, params, many, context)


def _tell() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_TELL, [dumps(who()).decode()])


def _is_tracked(sql: Any) -> bool:
    """Whether this statement writes a table that a trigger watches."""
    written = _written(sql) if isinstance(sql, str) else frozenset()
    return bool(written) and not written.isdisjoint(_tracked or _learn())


@lru_cache(maxsize=512)
def _written(sql: str) -> frozenset[str]:
    """The tables that a statement writes, by its text; what begins with a WITH may write several."""
    found = _WRITES.match(sql)
    if found is not None:
        return frozenset({found[1]})
    if not sql.lstrip()[:4].upper().startswith("WITH"):
        return frozenset()
    return frozenset(_WRITES_WITHIN.findall(sql))


def _learn() -> frozenset[str]:
    """The tracked tables, asked once; none while migrations have not made them."""
    global _tracked
    with _lock, connection.cursor() as cursor:
        if not _tracked:
            cursor.execute(_TRACKED)
            _tracked = frozenset(row[0] for row in cursor.fetchall())
    return _tracked


def forget(**_: Any) -> None:
    """Receiver of `post_migrate`: what was learned while tables were being made is not the whole."""
    global _tracked
    _tracked = frozenset()


def who() -> dict[str, str | None]:
    """The one behind what happens now, as the triggers read it."""
    request = _request.get()
    return _system() if request is None else _caller(request)


def _caller(request: HttpRequest) -> dict[str, str | None]:
    match = request.resolver_match
    return {
        **_person(request),
        "address": client_address(request)[:45],
        "client": client_class(request.headers.get("User-Agent", "")),
        "requestId": getattr(request, "request_id", ""),
        "route": f"{request.method} /{match.route}"[:200] if match else f"{request.method}"[:10],
    }


def _person(request: HttpRequest) -> dict[str, str | None]:
    principal: Principal | None = getattr(request, "principal", None)
    if principal is not None and principal.kind == "key":
        return {"kind": "key", "id": str(principal.key_id), "actor": f"key of {principal.user.email}"[:255]}
    user = principal.user if principal is not None else _proven.get() or getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"kind": "anonymous", "id": None, "actor": "anonymous"}
    return {"kind": "user", "id": str(user.pk), "actor": user.email}


def _system() -> dict[str, str | None]:
    if current_task:
        return {"kind": "system", "id": None, "actor": f"task {current_task.name}"[:255]}
    command = sys.argv[1] if len(sys.argv) > 1 and sys.argv[0].endswith("manage.py") else settings.PROCESS
    return {"kind": "system", "id": None, "actor": f"process {command}"[:255]}


def client_class(user_agent: str) -> str:
    """The kind of program behind a request: a browser's name, else the first word of what it calls itself."""
    for mark, name in _BROWSERS:
        if mark in user_agent:
            return name
    first = _PROGRAM.match(user_agent)
    return first[0] if first else ""
