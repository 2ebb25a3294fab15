"""Who makes a request: a person or a person's key, in one workspace, with one role.

One statement per credential: the principal carries all that permission checks, throttles and scoping ask for.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from nexgent import clock, rows
from nexgent.accounts.models import Role, User

FULL_ACCESS = "full_access"
REFERENCE_SCOPES = ("signals", "agents", "positions", "balances", "transactions", "history")
SCOPES = (*REFERENCE_SCOPES, FULL_ACCESS, "trade", "config")
_RANK = {Role.VIEWER: 0, Role.AUDITOR: 1, Role.TRADER: 2, Role.OWNER: 3}

_USED = {"id", "email", "is_active", "is_staff", "is_superuser", "must_change_password", "created_at"}
_USER_COLUMNS = tuple(field.attname for field in User._meta.concrete_fields if field.attname in _USED)
"""In the order of the model, as `from_db` wants them."""
_COLUMNS = ", ".join(f"u.{name}" for name in _USER_COLUMNS)
_MEMBERSHIP = """m.workspace_id, m.role, CASE WHEN m.is_limited AND m.role <> 'owner'
    THEN ARRAY(SELECT g.agent_id FROM accounts_agentgrant g WHERE g.membership_id = m.id) END"""
_FIRST_MEMBERSHIP = (
    "JOIN LATERAL (SELECT id, workspace_id, role, is_limited FROM accounts_membership"
    " WHERE user_id = u.id ORDER BY (workspace_id = u.chosen_workspace_id) DESC NULLS LAST, id LIMIT 1) m ON true"
)
_BY_ID = f"""
SELECT {_COLUMNS}, {_MEMBERSHIP} FROM accounts_user u {_FIRST_MEMBERSHIP} WHERE u.id = %s AND u.is_active
"""  # noqa: S608
_BY_TOKEN = f"""
SELECT {_COLUMNS}, {_MEMBERSHIP}, s.proved_at, s.used_at FROM accounts_user u {_FIRST_MEMBERSHIP}
LEFT JOIN accounts_tokensession s ON s.id = %(session_id)s::uuid AND s.user_id = u.id AND s.revoked_at IS NULL
WHERE u.id = %(user_id)s AND u.is_active
  AND NOT EXISTS (SELECT 1 FROM accounts_revokedtoken WHERE jti = %(jti)s)
  AND (%(session_id)s::uuid IS NULL OR s.id IS NOT NULL)
"""  # noqa: S608
_BY_KEY = f"""
SELECT {_COLUMNS}, {_MEMBERSHIP}, k.id, k.scopes, k.addresses, k.rate_per_minute, l.at,
    CASE WHEN k.key_hash = %(digest)s THEN k.signing_secret ELSE k.previous_signing_secret END,
    k.key_hash, k.previous_hash
FROM accounts_apikey k LEFT JOIN accounts_keyuse l ON l.key_id = k.id
JOIN accounts_user u ON u.id = k.user_id
JOIN accounts_membership m ON m.user_id = k.user_id AND m.workspace_id = k.workspace_id
WHERE (k.key_hash = %(digest)s OR (k.previous_hash = %(digest)s AND k.previous_until > %(now)s))
  AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > %(now)s) AND u.is_active
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Principal:
    """`session_id`, `token_jti` and `expires_at` are those of an access token, `key_id` and `scopes` those of a key.

    `proved_at` is when the person last showed password or second factor, `used_at` the last use that was written down.
    `agent_ids` are the agents a limited member has grants for; None is all of the workspace.
    """

    kind: Literal["user", "key"]
    user: User
    workspace_id: UUID
    role: Role
    scopes: frozenset[str] = frozenset()
    key_id: UUID | None = None
    session_id: UUID | None = None
    token_jti: UUID | None = None
    expires_at: datetime | None = None
    agent_ids: frozenset[UUID] | None = None
    proved_at: datetime | None = None
    used_at: datetime | None = None
    addresses: tuple[str, ...] = ()
    """Networks a key may be used from; empty: from anywhere."""
    rate_per_minute: int | None = None
    signing_secret: str = field(default="", repr=False)
    """Sealed, of a key that signs its requests."""

    @property
    def name(self) -> str:
        """One text per principal: the scope of limits."""
        return f"key:{self.key_id}" if self.kind == "key" else f"user:{self.user.id}"

    @property
    def name_in_workspace(self) -> str:
        """The scope of idempotency keys: what a person did in one workspace is no answer in another."""
        return self.name if self.kind == "key" else f"{self.name}@{self.workspace_id}"

    def has_role(self, least: Role) -> bool:
        return _RANK[self.role] >= _RANK[least]

    @property
    def is_limited(self) -> bool:
        return self.agent_ids is not None

    def sees(self, agent_id: UUID) -> bool:
        """Whether this agent of the workspace exists for the principal."""
        return self.agent_ids is None or agent_id in self.agent_ids

    def has_scope(self, scope: str) -> bool:
        """Whether this key may use `scope`; `full_access` is the reference's scopes, never `trade` or `config`."""
        return scope in self.scopes or (FULL_ACCESS in self.scopes and scope in REFERENCE_SCOPES)


def of_user(user_id: UUID, *, proved_at: datetime | None = None) -> Principal | None:
    """The principal of a signed-in person; None when inactive or without a workspace."""
    row = _fetch(_BY_ID, [user_id])
    return None if row is None else _person(row, proved_at=proved_at)


def of_token(*, user_id: UUID, jti: UUID, session_id: UUID | None, expires_at: datetime) -> Principal | None:
    """The principal of a verified access token; None when the token or its session was ended."""
    row = _fetch(_BY_TOKEN, {"user_id": user_id, "jti": jti, "session_id": session_id})
    if row is None:
        return None
    proved_at, used_at = row[-2:]
    return _person(
        row, session_id=session_id, token_jti=jti, expires_at=expires_at, proved_at=proved_at, used_at=used_at
    )


def of_key(raw: str) -> Principal | None:
    """The principal of an API key as its owner sends it; None when unknown, expired or revoked."""
    digest = key_hash(raw)
    row = _fetch(_BY_KEY, {"digest": digest, "now": clock.now()})
    if row is None or not any(hmac.compare_digest(known or "", digest) for known in row[-2:]):
        return None
    workspace_id, role, granted, key_id, scopes, addresses, rate, used_at, signing, _, _ = row[len(_USER_COLUMNS) :]
    return Principal(
        "key",
        _user(row),
        workspace_id,
        Role(role),
        frozenset(_json(scopes)),
        key_id,
        agent_ids=_agent_ids(granted),
        used_at=used_at,
        addresses=tuple(_json(addresses)),
        rate_per_minute=rate,
        signing_secret=signing,
    )


def key_hash(raw: str) -> str:
    """SHA-256 of a key, hex: keys are 24 random bytes, so that a slow hash would add nothing."""
    return hashlib.sha256(raw.encode()).hexdigest()


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _fetch(sql: str, parameters: Any) -> Any:
    with rows.execute(sql, parameters) as cursor:  # prepared: every request asks this
        return cursor.fetchone()


def _user(row: Any) -> User:
    # Columns that were not read stay deferred: a save of this object cannot blank the password.
    return User.from_db("default", list(_USER_COLUMNS), row[: len(_USER_COLUMNS)])


def _person(row: Any, **token: Any) -> Principal:
    workspace_id, role, granted = row[len(_USER_COLUMNS) : len(_USER_COLUMNS) + 3]
    return Principal("user", _user(row), workspace_id, Role(role), agent_ids=_agent_ids(granted), **token)


def _agent_ids(granted: list[UUID] | None) -> frozenset[UUID] | None:
    return None if granted is None else frozenset(granted)
