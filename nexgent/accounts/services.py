"""Use cases of accounts: users with their workspace, sign-in with its lock, passwords, API keys."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, connection, transaction

from nexgent import clock
from nexgent.accounts import tokens
from nexgent.accounts.models import ApiKey, LoginGuard, Membership, Role, User, Workspace
from nexgent.accounts.principals import SCOPES, key_hash
from nexgent.api.wire import stamp
from nexgent.errors import InvalidInput, NotFound, Refusal
from nexgent.ids import key_uuid

FAILURES_MAX = 5
LOCK = timedelta(minutes=15)
PASSWORD_LENGTH_MAX = 128
_FIRST_ADMIN_LOCK = 0x6E65_7867_656E_7401

# Counted before the password is looked at, so that parallel guesses cannot share one count. A lock that ended starts
# the count anew.
_COUNT_ATTEMPT = """
INSERT INTO accounts_loginguard AS g (key, email, address, failures, locked_until, at)
VALUES (%(key)s, %(email)s, %(address)s, 1, NULL, %(now)s)
ON CONFLICT (key) DO UPDATE SET
    failures = CASE WHEN g.locked_until <= %(now)s THEN 1 ELSE g.failures + 1 END,
    locked_until = CASE WHEN g.locked_until <= %(now)s THEN NULL
                        WHEN g.locked_until IS NOT NULL THEN g.locked_until
                        WHEN g.failures + 1 >= %(most)s THEN %(until)s END,
    at = %(now)s
RETURNING failures, locked_until
"""


@dataclass(frozen=True, slots=True)
class NewKey:
    """`raw` is shown once and never stored."""

    key: ApiKey
    raw: str


def email_fold(email: str) -> str:
    """The one form of an e-mail address: trimmed, lower case."""
    return email.strip().lower()


def password_check(password: str, *, email: str) -> None:
    """Raises `InvalidInput` when a password is too weak."""
    if len(password) > PASSWORD_LENGTH_MAX:
        raise InvalidInput({"password": f"must be at most {PASSWORD_LENGTH_MAX} characters"})
    try:
        validate_password(password, User(email=email))
    except ValidationError as problem:
        raise InvalidInput({"password": " ".join(problem.messages)}) from problem


def user_create(*, email: str, password: str, is_superuser: bool = False, must_change_password: bool = False) -> User:
    """A user with a personal workspace that they own. Raises `InvalidInput`, or `Refusal` EMAIL_TAKEN."""
    email = email_fold(email)
    try:
        validate_email(email)
    except ValidationError as problem:
        raise InvalidInput({"email": "must be an e-mail address"}) from problem
    password_check(password, email=email)
    try:
        with transaction.atomic():
            user = User.objects.create_user(
                email,
                password,
                is_staff=is_superuser,
                is_superuser=is_superuser,
                must_change_password=must_change_password,
            )
            workspace = Workspace.objects.create(name=email[:100])
            Membership.objects.create(workspace=workspace, user=user, role=Role.OWNER)
    except IntegrityError as problem:
        raise Refusal("EMAIL_TAKEN", "A user with this e-mail exists.") from problem
    return user


def has_administrator() -> bool:
    """Whether an administrator exists."""
    return User.objects.filter(is_superuser=True).exists()


def create_first_admin(email: str, password: str, *, must_change_password: bool = False) -> User:
    """The first administrator (superuser, owner of a workspace).

    Raises `Refusal` ADMIN_EXISTS when there is one, `InvalidInput` for a bad e-mail or a weak password. Never changes
    an existing user. Two callers at once make one.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_FIRST_ADMIN_LOCK])
        if has_administrator():
            raise Refusal("ADMIN_EXISTS", "An administrator exists already; nothing was changed.")
        return user_create(email=email, password=password, is_superuser=True, must_change_password=must_change_password)


def authenticate(*, email: str, password: str, address: str) -> User:
    """The user of these credentials.

    Raises `Refusal` AUTHENTICATION_ERROR, or ACCOUNT_LOCKED (423) with `lockedUntil` from the fifth failure of this
    e-mail from this address on, for unknown e-mails too and in the same time.
    """
    email, now = email_fold(email)[:255], clock.now()
    failures, locked_until = _attempt(email, address, now)
    if failures > FAILURES_MAX and locked_until is not None:
        raise _locked(locked_until)
    user = User.objects.filter(email=email).first()
    if user is None:
        make_password(password)  # as slow as a comparison
    elif user.check_password(password) and user.is_active:
        LoginGuard.objects.filter(key=_guard_key(email, address)).delete()
        return user
    if locked_until is not None:
        raise _locked(locked_until)
    raise Refusal("AUTHENTICATION_ERROR", "The e-mail or the password is wrong.")


def _attempt(email: str, address: str, now: datetime) -> tuple[int, datetime | None]:
    values: dict[str, Any] = {
        "key": _guard_key(email, address),
        "email": email,
        "address": address[:45],
        "now": now,
        "until": now + LOCK,
        "most": FAILURES_MAX,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_ATTEMPT, values)
        failures, locked_until = cursor.fetchone()
    return failures, locked_until


def _guard_key(email: str, address: str) -> UUID:
    return key_uuid(f"login|{email}|{address[:45]}")


def _locked(until: datetime) -> Refusal:
    return Refusal(
        "ACCOUNT_LOCKED", "Too many failed sign-ins. Try again later.", details={"lockedUntil": stamp(until)}
    )


def password_change(*, user_id: UUID, current: str, new: str) -> None:
    """Set a new password and end all API sessions (pages are signed out by the changed hash).

    Raises `InvalidInput` when the current password is wrong or the new one is too weak.
    """
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(id=user_id)
        if not user.check_password(current):
            raise InvalidInput({"currentPassword": "is wrong"})
        password_check(new, email=user.email)
        if current == new:
            raise InvalidInput({"password": "must differ from the current one"})
        user.set_password(new)
        user.must_change_password = False
        user.save(update_fields=["password", "must_change_password"])
        tokens.revoke_all(user.id)


def api_key_create(*, user_id: UUID, workspace_id: UUID, name: str, scopes: Sequence[str]) -> NewKey:
    """A new key: `nex_` and 24 random bytes. Raises `InvalidInput` for a bad name or unknown scopes."""
    name = name.strip()
    if not 1 <= len(name) <= 100:
        raise InvalidInput({"name": "must be 1 to 100 characters"})
    unknown = sorted(set(scopes) - set(SCOPES))
    if not scopes or unknown:
        raise InvalidInput({"scopes": f"must be one or more of {', '.join(SCOPES)}"})
    raw = "nex_" + secrets.token_urlsafe(24)
    key = ApiKey.objects.create(
        user_id=user_id,
        workspace_id=workspace_id,
        name=name,
        prefix=raw[:8],
        key_hash=key_hash(raw),
        scopes=list(dict.fromkeys(scopes)),
    )
    return NewKey(key, raw)


def api_key_revoke(*, workspace_id: UUID, key_id: UUID) -> None:
    """End a key at once. Raises `NotFound`."""
    alive = ApiKey.objects.filter(id=key_id, workspace_id=workspace_id, revoked_at=None)
    if not alive.update(revoked_at=clock.now()):
        raise NotFound("api_key")


def login_guards_sweep(*, now: datetime) -> int:
    """Delete counters that nobody touched for a day; returns how many went."""
    return LoginGuard.objects.filter(at__lt=now - timedelta(days=1)).delete()[0]
