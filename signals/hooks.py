"""Incoming webhooks: messages of other services become signals.

Who knows the path may send; with a secret, a message must be signed too, be young, and come once. The signal belongs to
the member who made the hook and is accepted by the same checks as any other.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q

from nexgent import clock
from nexgent.accounts.models import Membership, Role
from nexgent.api import caps, signatures
from nexgent.api.rendering import loads
from nexgent.errors import InvalidInput, NotFound, Refusal
from nexgent.sealing import BrokenSeal, seal, unseal
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


def hook_create(
    *,
    workspace_id: UUID,
    user_id: UUID,
    name: str,
    template: Mapping[str, Any],
    is_signed: bool = False,
    window_seconds: int = 300,
) -> NewHook:
    """A hook of the workspace. Raises `InvalidInput`, `Refusal` TOO_MANY_HOOKS."""
    check(template=template, window_seconds=window_seconds)
    hook = SignalHook(
        workspace_id=workspace_id,
        user_id=user_id,
        name=name,
        template=dict(template),
        window_seconds=window_seconds,
        created_at=clock.now(),
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


def check(*, template: Any, window_seconds: int) -> None:
    """Raises `InvalidInput` for a template or a window that cannot be."""
    problems = templates.problems_of(template)
    if window_seconds not in WINDOW_SECONDS:
        problems["windowSeconds"] = f"must be from {WINDOW_SECONDS.start} to {WINDOW_SECONDS.stop - 1}"
    if problems:
        raise InvalidInput(problems)


def hook_of(path: str) -> SignalHook:
    """The hook that is sent to at this path. Raises `NotFound` for an unknown one, one that is off, and one whose
    maker may not send signals any more."""
    hook = SignalHook.objects.filter(path_hash=_hash(path), is_active=True, user__is_active=True).first()
    if hook is None:
        raise NotFound("signal_hook")
    sender = Membership.objects.filter(_SENDERS, workspace_id=hook.workspace_id, user_id=hook.user_id)
    if not sender.exists():
        raise NotFound("signal_hook")
    return hook


@locks.unit_of_work
def accept(hook: SignalHook, body: bytes, *, signature: str, received_at: datetime) -> Signal:
    """The signal of a message, stored.

    Raises `Refusal` SIGNATURE_WRONG, SIGNATURE_EXPIRED, MESSAGE_SEEN, PAYLOAD_TOO_LARGE, and what accepting a signal
    raises. A message that is refused may come again.
    """
    if len(body) > BODY_BYTES_MAX:
        raise Refusal("PAYLOAD_TOO_LARGE", f"A message has at most {BODY_BYTES_MAX // 1024} KiB.")
    signed = _checked(hook, body, signature, received_at) if hook.secret else None
    try:
        message = loads(body)
    except (ValueError, RecursionError) as problem:
        raise InvalidInput({"": f"The message is not valid JSON: {problem}"[:200]}) from problem
    data = {"source": hook.name, **templates.signal_of(hook.template, message)}
    with transaction.atomic():
        if signed is not None:
            _take(hook, signed)
        return services.accept(workspace_id=hook.workspace_id, user_id=hook.user_id, data=data, received_at=received_at)


def _checked(hook: SignalHook, body: bytes, header: str, received_at: datetime) -> signatures.Signature:
    signature = signatures.parse(header)
    try:
        secret = unseal(hook.secret, purpose=PURPOSE)
    except BrokenSeal as problem:
        raise Refusal("SIGNATURE_WRONG", "SECRET_KEY has changed since this hook was made; rotate it.") from problem
    if signature is None or not signature.is_of(body, secret=secret):
        raise Refusal("SIGNATURE_WRONG", f"The header {signatures.HEADER} is missing or does not fit the message.")
    if abs(received_at.timestamp() - signature.at) > hook.window_seconds:
        raise Refusal("SIGNATURE_EXPIRED", f"The message was not signed within the last {hook.window_seconds} s.")
    return signature


def _take(hook: SignalHook, signature: signatures.Signature) -> None:
    good_until = datetime.fromtimestamp(signature.at, UTC) + timedelta(seconds=hook.window_seconds)
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
