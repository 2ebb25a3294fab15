"""Incoming webhooks: messages of other services become signals.

Who knows the path may send, until the hook's end and from its networks; with a secret, a message must be signed too, be
young, and come once. The signal belongs to the member who made the hook and is accepted by the same checks as any
other.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q

from nexgent import clock
from nexgent.accounts import networks
from nexgent.accounts.models import Membership, Role
from nexgent.api import caps, signatures
from nexgent.api.rendering import loads
from nexgent.errors import InvalidInput, NotFound, Refusal
from nexgent.sealing import seal
from signals import services, templates
from signals.models import SeenMessage, Signal, SignalHook
from trading.engine import locks

PURPOSE = "signal hooks"
PER_WORKSPACE_MAX = 50
BODY_BYTES_MAX = 64 * 1024
WINDOW_SECONDS = range(10, 3601)
_PATH_PREFIX, _SECRET_PREFIX = "shk_", "shs_"
_SENDERS = Q(role=Role.OWNER) | Q(role=Role.TRADER, is_limited=False)
"""A limited member writes no signals: they reach every agent."""


@dataclass(frozen=True, slots=True)
class NewHook:
    """`path` and `secret` (empty without one) are shown once."""

    hook: SignalHook
    path: str
    secret: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds a hook back; no end and no networks mean no limit. A signature is believed for `window_seconds`."""

    expires_at: datetime | None = None
    addresses: Sequence[str] = ()
    window_seconds: int = 300


def hook_create(
    *,
    workspace_id: UUID,
    user_id: UUID,
    name: str,
    template: Mapping[str, Any],
    is_signed: bool = False,
    limits: Limits | None = None,
) -> NewHook:
    """A hook of the workspace. Raises `InvalidInput`, `Refusal` TOO_MANY_HOOKS."""
    columns = _checked(template, limits or Limits(), now=clock.now())
    hook = SignalHook(
        workspace_id=workspace_id,
        user_id=user_id,
        name=name,
        created_at=clock.now(),
        **columns,
    )
    new = _with_credentials(hook, is_signed=is_signed)
    with transaction.atomic():
        caps.admit(
            SignalHook.objects.all(),
            workspace_id=workspace_id,
            most=PER_WORKSPACE_MAX,
            code="TOO_MANY_HOOKS",
            things="signal hooks",
        )
        hook.save(force_insert=True)
    return new


def hook_rotate(hook: SignalHook) -> NewHook:
    """A new path, and a new secret where there was one; the old ones end at once."""
    new = _with_credentials(hook, is_signed=bool(hook.secret))
    hook.save(update_fields=["path_hash", "prefix", "secret"])
    return new


def hook_change(hook: SignalHook, *, name: str, template: Any, is_active: bool, limits: Limits) -> SignalHook:
    """Give a hook another name, template, state or limits. Raises `InvalidInput`."""
    is_end_kept = limits.expires_at == hook.expires_at
    hook.name, hook.is_active = name, is_active
    columns = _checked(template, limits, now=None if is_end_kept else clock.now())
    for column, value in columns.items():
        setattr(hook, column, value)
    hook.save(update_fields=["name", "is_active", *columns])
    return hook


def hook_of(path: str, *, address: str) -> SignalHook:
    """The hook that is sent to at this path from this address.

    Raises `NotFound` for an unknown one, one that is off or past its end, and one whose maker may not send signals any
    more; `Refusal` ADDRESS_REFUSED.
    """
    alive = Q(expires_at=None) | Q(expires_at__gt=clock.now())
    hook = SignalHook.objects.filter(alive, path_hash=_hash(path), is_active=True, user__is_active=True).first()
    if hook is None:
        raise NotFound("signal_hook")
    sender = Membership.objects.filter(_SENDERS, workspace_id=hook.workspace_id, user_id=hook.user_id)
    if not sender.exists():
        raise NotFound("signal_hook")
    networks.admit(address, hook.addresses, what="signal hook")
    return hook


def believed(hook: SignalHook, body: bytes, *, signature: str, received_at: datetime) -> signatures.Signature | None:
    """The signature of a message that a hook believes; None where the path alone is believed.

    Raises `Refusal` PAYLOAD_TOO_LARGE, SIGNATURE_WRONG, SIGNATURE_EXPIRED.
    """
    if len(body) > BODY_BYTES_MAX:
        raise Refusal("PAYLOAD_TOO_LARGE", f"A message has at most {BODY_BYTES_MAX // 1024} KiB.")
    if not hook.secret:
        return None
    return signatures.believed(
        signature,
        body,
        sealed=hook.secret,
        purpose=PURPOSE,
        received_at=received_at,
        window_seconds=hook.window_seconds,
    )


@locks.unit_of_work
def accept(hook: SignalHook, body: bytes, *, signed: signatures.Signature | None, received_at: datetime) -> Signal:
    """The signal of a believed message, stored.

    Raises `Refusal` MESSAGE_SEEN and what accepting a signal raises. A message that is refused may come again.
    """
    try:
        message = loads(body)
    except ValueError as problem:
        raise InvalidInput({"": f"The message is not valid JSON: {problem}"[:200]}) from problem
    data = {"source": hook.name, **templates.signal_of(hook.template, message)}
    with transaction.atomic():
        if signed is not None:
            _take(hook, signed)
        return services.accept(workspace_id=hook.workspace_id, user_id=hook.user_id, data=data, received_at=received_at)


def _checked(template: Any, limits: Limits, *, now: datetime | None) -> dict[str, Any]:
    """The columns of template and limits; an end has to lie after `now` (None: it is not asked)."""
    problems = templates.problems_of(template)
    if limits.window_seconds not in WINDOW_SECONDS:
        problems["windowSeconds"] = f"must be from {WINDOW_SECONDS.start} to {WINDOW_SECONDS.stop - 1}"
    if now is not None and limits.expires_at is not None and limits.expires_at <= now:
        problems["expiresAt"] = "must lie in the future"
    addresses: list[str] = []
    try:
        addresses = networks.read(limits.addresses)
    except ValueError as problem:
        problems["addresses"] = str(problem)
    if problems:
        raise InvalidInput(problems)
    return {
        "template": dict(template),
        "window_seconds": limits.window_seconds,
        "expires_at": limits.expires_at,
        "addresses": addresses,
    }


def _take(hook: SignalHook, signature: signatures.Signature) -> None:
    good_until = datetime.fromtimestamp(signature.at + hook.window_seconds, UTC)
    try:
        with transaction.atomic():
            SeenMessage.objects.create(hook=hook, code=signature.code, good_until=good_until)
    except IntegrityError as problem:
        raise Refusal("MESSAGE_SEEN", "This very message was taken before.") from problem


def sweep(*, now: datetime) -> int:
    """Forget messages that are too old to be believed again; returns how many."""
    return SeenMessage.objects.filter(good_until__lt=now).delete()[0]


def _with_credentials(hook: SignalHook, *, is_signed: bool) -> NewHook:
    path = _PATH_PREFIX + secrets.token_urlsafe(24)
    secret = _SECRET_PREFIX + secrets.token_urlsafe(32) if is_signed else ""
    hook.path_hash, hook.prefix = _hash(path), path[:8]
    hook.secret = seal(secret, purpose=PURPOSE) if secret else ""
    return NewHook(hook, path, secret)


def _hash(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()
