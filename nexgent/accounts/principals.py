"""Who makes a request: a person or a person's key, in one workspace, with one role.

One statement per credential: the principal carries all that permission checks, throttles and scoping ask for.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.db import connection

from nexgent.accounts.models import Role, User

FULL_ACCESS = "full_access"
REFERENCE_SCOPES = ("signals", "agents", "positions", "balances", "transactions", "history")
SCOPES = (*REFERENCE_SCOPES, FULL_ACCESS, "trade", "config")
_RANK = {Role.VIEWER: 0, Role.AUDITOR: 1, Role.TRADER: 2, Role.OWNER: 3}

_USED = {"id", "email", "is_active", "is_staff", "is_superuser", "must_change_password", "created_at"}
_USER_COLUMNS = tuple(field.attname for field in User._meta.concrete_fields if field.attname in _USED)
"""In the order of the model, as `from_db` wants them."""
_COLUMNS = ", ".join(f"u.{name}" for name in _USER_COLUMNS)
_FIRST_MEMBERSHIP = (
    "JOIN LATERAL (SELECT workspace_id, role FROM accounts_membership"
    " WHERE user_id = u.id ORDER BY id LIMIT 1) m ON true"
)
_BY_USER = f"SELECT {_COLUMNS}, m.workspace_id, m.role FROM accounts_user u {_FIRST_MEMBERSHIP} "  # noqa: S608
_BY_ID = _BY_USER + "WHERE u.id = %s AND u.is_active"
_BY_TOKEN = f"""
{_BY_USER}
WHERE u.id = %(user_id)s AND u.is_active
  AND NOT EXISTS (SELECT 1 FROM accounts_revokedtoken WHERE jti = %(jti)s)
  AND (%(session_id)s::uuid IS NULL
       OR EXISTS (SELECT 1 FROM accounts_tokensession s WHERE s.id = %(session_id)s AND s.revoked_at IS NULL))
"""  # noqa: S608
_BY_KEY = f"""
SELECT {_COLUMNS}, m.workspace_id, m.role, k.id, k.scopes, k.key_hash
FROM accounts_apikey k
JOIN accounts_user u ON u.id = k.user_id
JOIN accounts_membership m ON m.user_id = k.user_id AND m.workspace_id = k.workspace_id
WHERE k.key_hash = %s AND k.revoked_at IS NULL AND u.is_active
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Principal:
    """`session_id`, `token_jti` and `expires_at` are those of an access token, `key_id` and `scopes` those of a key."""

    kind: Literal["user", "key"]
    user: User
    workspace_id: UUID
    role: Role
    scopes: frozenset[str] = frozenset()
    key_id: UUID | None = None
    session_id: UUID | None = None
    token_jti: UUID | None = None
    expires_at: datetime | None = None

    @property
    def name(self) -> str:
        """One text per principal: the scope of limits and idempotency keys."""
        return f"key:{self.key_id}" if self.kind == "key" else f"user:{self.user.id}"

    def has_role(self, least: Role) -> bool:
        return _RANK[self.role] >= _RANK[least]

    def has_scope(self, scope: str) -> bool:
        """Whether this key may use `scope`; `full_access` is the reference's scopes, never `trade` or `config`."""
        return scope in self.scopes or (FULL_ACCESS in self.scopes and scope in REFERENCE_SCOPES)


def of_user(user_id: UUID) -> Principal | None:
    """The principal of a signed-in person; None when inactive or without a workspace."""
    row = _fetch(_BY_ID, [user_id])
    return None if row is None else _person(row)


def of_token(*, user_id: UUID, jti: UUID, session_id: UUID | None, expires_at: datetime) -> Principal | None:
    """The principal of a verified access token; None when the token or its session was ended."""
    row = _fetch(_BY_TOKEN, {"user_id": user_id, "jti": jti, "session_id": session_id})
    if row is None:
        return None
    return _person(row, session_id=session_id, token_jti=jti, expires_at=expires_at)


def of_key(raw: str) -> Principal | None:
    """The principal of an API key as its owner sends it; None when unknown or revoked."""
    digest = key_hash(raw)
    row = _fetch(_BY_KEY, [digest])
    if row is None or not hmac.compare_digest(row[-1], digest):
        return None
    user, (workspace_id, role, key_id, scopes, _) = _user(row), row[len(_USER_COLUMNS) :]
    names = json.loads(scopes) if isinstance(scopes, str) else scopes
    return Principal("key", user, workspace_id, Role(role), frozenset(names), key_id)


def key_hash(raw: str) -> str:
    """SHA-256 of a key, hex: keys are 24 random bytes, so that a slow hash would add nothing."""
    return hashlib.sha256(raw.encode()).hexdigest()


def _fetch(sql: str, parameters: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone()


def _user(row: Any) -> User:
    # Columns that were not read stay deferred: a save of this object cannot blank the password.
    return User.from_db("default", list(_USER_COLUMNS), row[: len(_USER_COLUMNS)])


def _person(row: Any, **token: Any) -> Principal:
    workspace_id, role = row[len(_USER_COLUMNS) : len(_USER_COLUMNS) + 2]
    return Principal("user", _user(row), workspace_id, Role(role), **token)
