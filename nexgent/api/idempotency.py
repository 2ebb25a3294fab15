"""`Idempotency-Key`: the same request twice is one action and one answer, for 24 hours.

Scope is the route and the principal in its workspace. Two forms, because an action either is one transaction or waits
for one:

* `once` keeps key and answer in the transaction of the action itself: a refusal or a crash leaves neither.
* `claim`/`settle` bracket an action that must commit before it can be awaited (an order). The action itself has to be
  unique by the same key; the claim says who works on it and times out when that process died.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection, transaction
from rest_framework.response import Response

from nexgent import clock
from nexgent.api.models import IdempotentAnswer
from nexgent.api.rendering import dumps
from nexgent.errors import InvalidInput, Refusal

KEPT = timedelta(hours=24)
CLAIM = timedelta(seconds=75)
"""Longer than any endpoint waits for an order (45 s)."""
_KEY = re.compile(r"[\x21-\x7e]{1,200}")

# The advisory lock tells "in flight" from "done": an INSERT alone would wait for the other transaction.
_RESERVE = """
WITH lock AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtextextended(%(name)s, 0)) AS taken),
gone AS (
    DELETE FROM api_idempotentanswer USING lock
    WHERE lock.taken AND principal = %(principal)s AND route = %(route)s AND key = %(key)s AND created_at < %(oldest)s
)
SELECT taken FROM lock
"""
_INSERT = """
INSERT INTO api_idempotentanswer (principal, route, key, body_hash, claimed_until, created_at)
VALUES (%(principal)s, %(route)s, %(key)s, %(body_hash)s, %(claimed_until)s, %(now)s)
ON CONFLICT (principal, route, key) DO NOTHING RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose key it is, where, and for what: of a request that nobody signed in for."""

    principal: str
    route: str
    body: bytes


class Replay(Exception):
    """Carries a stored answer out of the action."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(status)
        self.response = Response(orjson.Fragment(body), status=status, headers={"Idempotent-Replayed": "true"})


def key_of(request: Any) -> str | None:
    """The caller's `Idempotency-Key`; raises `InvalidInput` when it is no visible ASCII of at most 200 characters."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise InvalidInput({"Idempotency-Key": "must be 1 to 200 visible ASCII characters"})
    return str(key)


def once(request: Any, action: Callable[[], Response], *, scope: Scope | None = None) -> Response:
    """Run `action` at most once per key, its answer stored in the same transaction; without a key just run it.

    `scope` takes the place of the request's principal, path and body.
    """
    key = key_of(request)
    if key is None:
        return action()
    try:
        with transaction.atomic():
            row_id = _reserve(scope or _scope_of(request), key, claimed_until=None)
            response = action()
            _store(row_id, response)
            return response
    except Replay as replay:
        return replay.response


def awaited(request: Any, action: Callable[[], Response]) -> Response:
    """Run an action that commits in steps and waits between them, its answer kept under the key.

    A refusal keeps nothing. A process that dies before the answer is kept leaves a claim that times out: the action
    then runs again, so it has to bear that.
    """
    key = key_of(request)
    claimed = claim(request, key) if key else None
    if isinstance(claimed, Response):
        return claimed
    try:
        response = action()
    except Exception:
        if claimed is not None:
            release(claimed, forget=True)
        raise
    if claimed is not None:
        settle(claimed, response)
    return response


def claim(request: Any, key: str) -> int | Response:
    """Take the right to work on `key`: the id to `settle`, or the answer that is already there."""
    try:
        with transaction.atomic():
            return _reserve(_scope_of(request), key, claimed_until=clock.now() + CLAIM)
    except Replay as replay:
        return replay.response


def settle(row_id: int, response: Response) -> None:
    """Store the final answer of a claimed key."""
    _store(row_id, response)


def release(row_id: int, *, forget: bool) -> None:
    """Give a claim back: `forget` it (nothing happened), or leave it open for the next call (not final yet)."""
    row = IdempotentAnswer.objects.filter(id=row_id)
    if forget:
        row.delete()
    else:
        row.update(claimed_until=None)


def sweep(*, now: datetime, batch: int = 5_000) -> int:
    """Delete answers older than 24 hours; returns how many went."""
    removed = 0
    while True:
        ids = list(IdempotentAnswer.objects.filter(created_at__lt=now - KEPT).values_list("id", flat=True)[:batch])
        removed += IdempotentAnswer.objects.filter(id__in=ids).delete()[0]
        if len(ids) < batch:
            return removed


def _scope_of(request: Any) -> Scope:
    route = f"{request.method} {request.path_info}"[:120]
    return Scope(request.principal.name_in_workspace, route, _canonical(request.data))


def _reserve(scope: Scope, key: str, *, claimed_until: datetime | None) -> int:
    now = clock.now()
    values = {
        "name": f"{scope.principal}|{scope.route}|{key}",
        "principal": scope.principal,
        "route": scope.route,
        "key": key,
        "body_hash": hashlib.sha256(scope.body).hexdigest(),
        "claimed_until": claimed_until,
        "now": now,
        "oldest": now - KEPT,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, values)
        if not cursor.fetchone()[0]:
            raise Refusal("IDEMPOTENCY_IN_PROGRESS", "A request with this Idempotency-Key is being processed.")
    # A row that was there may be forgotten before it is read; under our lock nobody else makes another.
    row_id = _inserted(values) or _found(values) or _inserted(values)
    assert row_id is not None
    return row_id


def _inserted(values: dict[str, Any]) -> int | None:
    """The id of a new row; None when there is one."""
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, values)
        row = cursor.fetchone()
    return int(row[0]) if row else None


def _found(values: dict[str, Any]) -> int | None:
    """The row that is there, taken over; None when it has gone. Raises Replay with its answer, Refusal."""
    kept = IdempotentAnswer.objects.filter(
        principal=values["principal"], route=values["route"], key=values["key"]
    ).first()
    if kept is None:
        return None
    if kept.body_hash != values["body_hash"]:
        raise Refusal("IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key belongs to a request with another body.")
    if kept.status is not None:
        raise Replay(kept.status, kept.answer)
    if kept.claimed_until is not None and kept.claimed_until > values["now"]:
        raise Refusal("IDEMPOTENCY_IN_PROGRESS", "A request with this Idempotency-Key is being processed.")
    taken = IdempotentAnswer.objects.filter(id=kept.id).update(claimed_until=values["claimed_until"])
    return int(kept.id) if taken else None


def _store(row_id: int, response: Response) -> None:
    # As text: jsonb would reorder the keys of the answer.
    IdempotentAnswer.objects.filter(id=row_id).update(
        status=response.status_code, answer=dumps(response.data).decode(), claimed_until=None
    )


def _canonical(data: Any) -> bytes:
    return repr(_sorted(data)).encode()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((name, _sorted(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return [_sorted(inner) for inner in value]
    return value
