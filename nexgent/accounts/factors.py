"""Second factors: an authenticator app (TOTP), passkeys, and recovery codes for the day both are lost.

Tables and cryptography are allauth's; flows are ours, since one person signs in through pages and API alike. A code is
good once: the time step of the last one is kept with the factor, under its row's lock. Wrong codes are counted per
user, wherever they come from: whoever gets here has the password already.
"""

import base64
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.utils import decrypt
from allauth.mfa.webauthn.internal import auth as webauthn
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from nexgent import clock
from nexgent.accounts import audit, letters
from nexgent.accounts.guards import Guard
from nexgent.accounts.models import User
from nexgent.errors import InvalidInput, NotFound, Refusal
from nexgent.ids import key_uuid

TOTP, PASSKEY, RECOVERY = "totp", "webauthn", "recovery_codes"
_BASE32 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
NAME_MAX = 100
PASSKEYS_MAX = 20
_STEP = "step"
_MALFORMED = (
    ValidationError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    struct.error,
    RecursionError,
    NotImplementedError,
)
"""What reading a credential that somebody made up can raise: fido2 trusts lengths, depth and kinds of keys."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A line of the list of factors."""

    id: UUID
    kind: str
    name: str
    created_at: datetime
    used_at: datetime | None
    codes_left: int | None = None
    """Of recovery codes."""


@dataclass(frozen=True, slots=True)
class TotpOffer:
    """What an authenticator app is given: the secret, its address, and that as a picture (SVG)."""

    secret: str
    url: str
    svg: str

    @property
    def picture(self) -> str:
        """The picture as an address for an `img`."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode()).decode()

    @property
    def grouped(self) -> str:
        """The secret in groups of four, to be typed."""
        return " ".join(self.secret[at : at + 4] for at in range(0, len(self.secret), 4))


def listed(user_id: UUID) -> list[Factor]:
    """The factors of a user, oldest first."""
    return [_factor(row) for row in Authenticator.objects.filter(user_id=user_id).order_by("id")]


def is_needed(user_id: UUID) -> bool:
    """Whether a password alone does not let this user in."""
    return Authenticator.objects.filter(user_id=user_id, type__in=[TOTP, PASSKEY]).exists()


def code_check(user: User, code: str) -> None:
    """Accept a code of the app or a recovery code. Raises `Refusal`: CODE_WRONG (401), ACCOUNT_LOCKED (423)."""
    guard = Guard("factor", str(user.pk))
    guard.admit()
    with audit.acting(user):  # whose password was right; a used recovery code is on record as theirs
        is_right = _is_totp(user, code) or _is_recovery_code(user, code)
    if not is_right:
        raise guard.fail(wrong())
    guard.forget()


def wrong() -> Refusal:
    """The one answer to a wrong code or passkey."""
    return Refusal("CODE_WRONG", "The code is wrong, was used already or has expired.")


def totp_offer(user: User, *, secret: str = "") -> TotpOffer:
    """A new secret (or this one again) for an authenticator app; nothing is stored until `totp_add` sees its code."""
    adapter = get_adapter()
    secret = secret or totp.generate_totp_secret()
    url = adapter.build_totp_url(user, secret)
    return TotpOffer(secret, url, adapter.build_totp_svg(url))


def totp_add(user: User, *, secret: str, code: str) -> list[str]:
    """Add the app that showed `code`; returns recovery codes when these are the first.

    Raises `InvalidInput` for a wrong code, `Refusal` FACTOR_EXISTS.
    """
    if len(secret) != 32 or not set(secret) <= _BASE32 or not totp.validate_totp_code(secret, code):
        raise InvalidInput({"code": "is not what the app shows now"})
    try:
        with _alone(user):
            row = totp.TOTP.activate(user, secret).instance
            row.data[_STEP] = _step_of(secret, code)
            row.save(update_fields=["data"])
            codes = _first_codes(user)
    except IntegrityError as problem:
        raise Refusal("FACTOR_EXISTS", "There is an authenticator app already; remove it first.") from problem
    letters.notice(user, "An authenticator app was added to your account.")
    return codes


def recovery_codes_renew(user: User) -> list[str]:
    """New recovery codes in place of the old ones. Raises `Refusal` NO_FACTOR without a factor they could stand for."""
    with _alone(user):
        if not is_needed(user.pk):
            raise Refusal("NO_FACTOR", "Add an authenticator app or a passkey first.")
        Authenticator.objects.filter(user_id=user.pk, type=RECOVERY).delete()
        codes = _first_codes(user)
    letters.notice(user, "New recovery codes were made for your account; the old ones no longer work.")
    return codes


def factor_remove(user: User, factor_id: UUID | str) -> None:
    """Take a factor away; recovery codes go with the last one. Raises `NotFound`."""
    with _alone(user):
        mine = Authenticator.objects.filter(user_id=user.pk)
        row = next((row for row in mine.exclude(type=RECOVERY) if str(_id_of(row)) == str(factor_id)), None)
        if row is None:
            raise NotFound("factor")
        row.delete()
        if not is_needed(user.pk):
            mine.delete()
    letters.notice(user, "A second factor was removed from your account.")


def passkey_rename(user: User, factor_id: UUID | str, *, name: str) -> Factor:
    """Give a passkey another name. Raises `NotFound`, `InvalidInput` for an empty name."""
    kept = name.replace("\x00", "").strip()[:NAME_MAX]
    if not kept:
        raise InvalidInput({"name": "is required"})
    with transaction.atomic():
        mine = Authenticator.objects.select_for_update(no_key=True).filter(user_id=user.pk, type=PASSKEY)
        row = next((row for row in mine if str(_id_of(row)) == str(factor_id)), None)
        if row is None:
            raise NotFound("factor")
        row.data["name"] = kept
        row.save(update_fields=["data"])
    return _factor(row)


def forget_all(user: User) -> int:
    """Take all factors off a user who lost them; returns how many there were."""
    with _alone(user):
        count = Authenticator.objects.filter(user_id=user.pk).delete()[0]
    if count:
        letters.notice(user, "The operator removed all second factors from your account.")
    return count


def passkey_offer(user: User) -> dict[str, Any]:
    """What a browser asks its authenticator for a new passkey; the challenge waits in the session.

    Raises `Refusal` FACTOR_EXISTS when there are too many.
    """
    _room_check(user)
    return webauthn.begin_registration(user, passwordless=True)


def passkey_add(user: User, *, name: str, credential: dict[str, Any]) -> list[str]:
    """Add the passkey a browser answered with; returns recovery codes when these are the first.

    Raises `Refusal` CODE_WRONG, and FACTOR_EXISTS when others came first.
    """
    try:
        webauthn.parse_registration_response(credential)
        webauthn.complete_registration(credential)
    except _MALFORMED as problem:
        raise wrong() from problem
    with _alone(user):
        _room_check(user)
        webauthn.WebAuthn.add(user, name.replace("\x00", "").strip()[:NAME_MAX] or "Passkey", credential)
        codes = _first_codes(user)
    letters.notice(user, "A passkey was added to your account.")
    return codes


def passkey_challenge(user: User | None) -> dict[str, Any]:
    """What a browser asks its authenticator: for one of this user's passkeys, or (None) for any of this site."""
    return webauthn.begin_authentication(user)


def passkey_check(user: User | None, response: dict[str, Any]) -> User:
    """Who answered the challenge: `user`, or whoever the passkey names. Raises `Refusal` CODE_WRONG."""
    try:
        who = user or webauthn.extract_user_from_response(response)
        webauthn.parse_authentication_response(response)
        row = webauthn.complete_authentication(who, response)
    except _MALFORMED as problem:
        raise wrong() from problem
    if not who.is_active:
        raise wrong()
    row.record_usage()
    return who


def _id_of(row: Authenticator) -> UUID:
    """The id that others see: the row's number would tell how many factors there are on the installation."""
    return key_uuid(f"factor|{row.pk}")


def _factor(row: Authenticator) -> Factor:
    if row.type == RECOVERY:
        left = len(row.wrap().get_unused_codes())
        return Factor(_id_of(row), RECOVERY, "Recovery codes", row.created_at, row.last_used_at, left)
    name = row.wrap().name if row.type == PASSKEY else "Authenticator app"
    return Factor(_id_of(row), row.type, name, row.created_at, row.last_used_at)


@contextmanager
def _alone(user: User) -> Iterator[None]:
    """A transaction in which nobody else changes which factors this user has: codes belong to the first and last."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        yield


def _room_check(user: User) -> None:
    if Authenticator.objects.filter(user_id=user.pk, type=PASSKEY).count() >= PASSKEYS_MAX:
        raise Refusal("FACTOR_EXISTS", f"There are {PASSKEYS_MAX} passkeys already; remove one first.")


def _first_codes(user: User) -> list[str]:
    if Authenticator.objects.filter(user_id=user.pk, type=RECOVERY).exists():
        return []
    return RecoveryCodes.activate(user).generate_codes()


def _step_of(secret: str, code: str) -> int | None:
    """The time step whose code this is, of those that count now."""
    for step in totp.yield_hotp_counters_from_time():
        if compare_user_code(actual=code, expected=totp.format_hotp_value(totp.hotp_value(secret, step))):
            return step
    return None


@transaction.atomic
def _is_totp(user: User, code: str) -> bool:
    row = Authenticator.objects.select_for_update(no_key=True).filter(user_id=user.pk, type=TOTP).first()
    step = None if row is None else _step_of(decrypt(row.data["secret"]), code)
    if row is None or step is None or step <= (row.data.get(_STEP) or 0):
        return False
    row.data[_STEP], row.last_used_at = step, clock.now()
    row.save(update_fields=["data", "last_used_at"])
    return True


def _is_recovery_code(user: User, code: str) -> bool:
    row = Authenticator.objects.filter(user_id=user.pk, type=RECOVERY).first()
    if row is None or not RecoveryCodes(row).validate_code(code):
        return False
    row.record_usage()
    return True
