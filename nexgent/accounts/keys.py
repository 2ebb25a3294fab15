"""API keys: made with the least that a job needs, limited, rotated, ended.

A key is shown once and stored as SHA-256. Its limits: scopes, an end, networks it may be used from, requests a minute,
and SOL per UTC day over all entries that its signals lead to. One that must sign its requests (`signed_keys`) has a
second secret, which is sealed.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from nexgent import clock
from nexgent.accounts import networks, signed_keys
from nexgent.accounts.models import ApiKey
from nexgent.accounts.principals import SCOPES, Principal, key_hash
from nexgent.api import caps
from nexgent.errors import InvalidInput, NotFound
from nexgent.events import control

RATE_MAX = 100_000
PER_WORKSPACE_MAX = 50
"""Keys that were not ended; one past its end counts, since its end can be moved."""
GRACE_MAX = timedelta(days=7)
USE_WRITTEN = timedelta(minutes=1)
GUARDED = frozenset({"trade", "config"})
"""Scopes that move money: a key with one of them is made and changed with a fresh proof only."""
_SECRETS = ("previous_hash", "previous_until", "key_hash", "prefix", "signing_secret", "previous_signing_secret")


@dataclass(frozen=True, slots=True)
class Preset:
    """The least a common job needs."""

    name: str
    title: str
    scopes: tuple[str, ...]
    about: str


PRESETS = (
    Preset("signal_bot", "Signal bot", ("signals",), "Posts signals and reads what became of them; nothing else."),
    Preset(
        "read_only",
        "Read only",
        ("agents", "positions", "balances", "transactions", "history"),
        "For dashboards and tax tools: sees everything of the agents, changes nothing.",
    ),
    Preset("trader", "Trader", ("agents", "positions", "balances", "trade"), "Buys and closes for your agents."),
    Preset("strategist", "Strategist", ("agents", "config"), "Reads agents and changes their trading configuration."),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds a key back; empty means no limit."""

    expires_at: datetime | None = None
    addresses: Sequence[str] = ()
    spend_limit_lamports: int | None = None
    rate_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """`raw` is shown once and never stored, `signing_secret` (empty without one) shown once."""

    key: ApiKey
    raw: str = field(repr=False)
    signing_secret: str = field(default="", repr=False)


@transaction.atomic
def api_key_create(
    *,
    user_id: UUID,
    workspace_id: UUID,
    name: str,
    scopes: Sequence[str],
    limits: Limits | None = None,
    is_signed: bool = False,
) -> NewKey:
    """A new key: `nex_` and 24 random bytes.

    Raises `InvalidInput` for a bad name, unknown scopes or wrong limits, `Refusal` TOO_MANY_KEYS.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if not scopes or unknown:
        raise InvalidInput({"scopes": f"must be one or more of {', '.join(SCOPES)}"})
    living = ApiKey.objects.filter(revoked_at=None)
    caps.admit(living, workspace_id=workspace_id, most=PER_WORKSPACE_MAX, code="TOO_MANY_KEYS", things="API keys")
    raw = _secret()
    signing, sealed = signed_keys.secret_create() if is_signed else ("", "")
    key = ApiKey.objects.create(
        user_id=user_id,
        workspace_id=workspace_id,
        name=_name(name),
        prefix=raw[:8],
        key_hash=key_hash(raw),
        scopes=list(dict.fromkeys(scopes)),
        signing_secret=sealed,
        **_checked(limits or Limits(), now=clock.now()),
    )
    return NewKey(key, raw, signing)


def api_key_change(*, workspace_id: UUID, key_id: UUID, name: str, limits: Limits) -> ApiKey:
    """Rename a key and set its limits. Raises `NotFound`, `InvalidInput`."""
    now = clock.now()
    with transaction.atomic():
        key = locked(workspace_id, key_id)
        key.name = _name(name)
        is_end_kept = limits.expires_at == key.expires_at
        for column, value in _checked(limits, now=None if is_end_kept else now).items():
            setattr(key, column, value)
        key.save(update_fields=["name", "expires_at", "addresses", "spend_limit_lamports", "rate_per_minute"])
    return key


def api_key_rotate(*, workspace_id: UUID, key_id: UUID, grace: timedelta) -> NewKey:
    """New secrets for a key; those before stay good for `grace`. Raises `NotFound`, `InvalidInput`."""
    if not timedelta(0) <= grace <= GRACE_MAX:
        raise InvalidInput({"graceSeconds": f"must be 0 to {int(GRACE_MAX.total_seconds())}"})
    raw = _secret()
    with transaction.atomic():
        key = locked(workspace_id, key_id)
        key.previous_hash, key.previous_until = (key.key_hash, clock.now() + grace) if grace else (None, None)
        key.key_hash, key.prefix = key_hash(raw), raw[:8]
        key.previous_signing_secret = key.signing_secret if grace else ""
        signing, key.signing_secret = signed_keys.secret_create() if key.signing_secret else ("", "")
        key.save(update_fields=_SECRETS)
        if not grace:
            control.revoke(str(key_id))
    return NewKey(key, raw, signing)


def api_key_revoke(*, workspace_id: UUID, key_id: UUID) -> None:
    """End a key at once, with the streams it opened. Raises `NotFound`."""
    alive = ApiKey.objects.filter(id=key_id, workspace_id=workspace_id, revoked_at=None)
    if not alive.update(revoked_at=clock.now()):
        raise NotFound("api_key")
    control.revoke(str(key_id))


def admit(principal: Principal, address: str) -> None:
    """Check where a key is used from, and note once a minute that it is. Raises `Refusal` ADDRESS_REFUSED."""
    networks.admit(address, principal.addresses, what="API key")
    now = clock.now()
    if principal.used_at is None or now - principal.used_at >= USE_WRITTEN:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO accounts_keyuse AS u (key_id, at, address) VALUES (%s, %s, %s)"
                " ON CONFLICT (key_id) DO UPDATE SET at = excluded.at, address = excluded.address WHERE u.at < %s",
                [principal.key_id, now, address[:45], now - USE_WRITTEN],
            )


def locked(workspace_id: UUID, key_id: UUID) -> ApiKey:
    rows = ApiKey.objects.select_for_update(no_key=True)
    key = rows.filter(id=key_id, workspace_id=workspace_id, revoked_at=None).first()
    if key is None:
        raise NotFound("api_key")
    return key


def _secret() -> str:
    return "nex_" + secrets.token_urlsafe(24)


def _name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 100:
        raise InvalidInput({"name": "must be 1 to 100 characters"})
    return name


def _checked(limits: Limits, *, now: datetime | None) -> dict[str, Any]:
    """The columns of these limits; an end has to lie after `now` (None: it is not asked)."""
    problems: dict[str, str] = {}
    if now is not None and limits.expires_at is not None and limits.expires_at <= now:
        problems["expiresAt"] = "must lie in the future"
    addresses: list[str] = []
    try:
        addresses = networks.read(limits.addresses)
    except ValueError as problem:
        problems["addresses"] = str(problem)
    if limits.spend_limit_lamports is not None and not 0 < limits.spend_limit_lamports < 10**18:
        problems["spendLimitSol"] = "must be above 0"
    if limits.rate_per_minute is not None and not 1 <= limits.rate_per_minute <= RATE_MAX:
        problems["ratePerMinute"] = f"must be 1 to {RATE_MAX}"
    if problems:
        raise InvalidInput(problems)
    return {
        "expires_at": limits.expires_at,
        "addresses": addresses,
        "spend_limit_lamports": limits.spend_limit_lamports,
        "rate_per_minute": limits.rate_per_minute,
    }
