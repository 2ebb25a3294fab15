"""Locks against guessing: attempts on a subject are counted before they are looked at, in one atomic statement.

Parallel guesses cannot share one count; a lock that ended starts the count anew. Known and unknown subjects are alike.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from nexgent import clock
from nexgent.accounts.models import LoginGuard
from nexgent.api.addresses import counted_address
from nexgent.api.wire import stamp
from nexgent.errors import Refusal
from nexgent.ids import key_uuid

ATTEMPTS_MAX = 5
LOCK = timedelta(minutes=15)

_COUNT = """
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


class Guard:
    """One counted attempt of a kind on a subject: an e-mail from an address, or a user wherever they are."""

    def __init__(self, kind: str, subject: str, address: str = "") -> None:
        address = counted_address(address)
        self.key: UUID = key_uuid(f"{kind}|{subject}|{address[:45]}")
        now = clock.now()
        values: dict[str, Any] = {
            "key": self.key,
            "email": subject[:255],
            "address": address[:45],
            "now": now,
            "until": now + LOCK,
            "most": ATTEMPTS_MAX,
        }
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, values)
            self._attempts, self._locked_until = cursor.fetchone()

    def admit(self) -> None:
        """Raises `Refusal` ACCOUNT_LOCKED when the lock was there before this attempt."""
        if self._attempts > ATTEMPTS_MAX and self._locked_until is not None:
            raise _locked(self._locked_until)

    def fail(self, refusal: Refusal) -> Refusal:
        """What to raise when the attempt was wrong: `refusal`, or the lock when this was one too many."""
        return refusal if self._locked_until is None else _locked(self._locked_until)

    def forget(self) -> None:
        """The attempt was right: the count starts anew."""
        LoginGuard.objects.filter(key=self.key).delete()


def sweep(*, now: datetime) -> int:
    """Delete counters that nobody touched for a day; returns how many went."""
    return LoginGuard.objects.filter(at__lt=now - timedelta(days=1)).delete()[0]


def _locked(until: datetime) -> Refusal:
    details = {"lockedUntil": stamp(until)}
    return Refusal("ACCOUNT_LOCKED", "Too many failed attempts. Try again later.", details=details)
