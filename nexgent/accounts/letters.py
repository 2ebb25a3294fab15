"""Letters: a row first, sent in the background. Who asks for one waits for nothing and learns nothing from how long.

The secret of a link is made when the letter is written and exists in it alone. A letter that cannot be sent is tried
again with growing pauses for a day, and an alarm says so from the third time on.
"""

import hashlib
import secrets
import smtplib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection
from django.template.loader import render_to_string

from nexgent import clock
from nexgent.accounts.models import Letter, MailedLink, User
from nexgent.events import alarms, bell

DRAIN = ("accounts.letters", "default")
BATCH = 20
RESET_GOOD = timedelta(hours=1)
EMAIL_GOOD = timedelta(hours=24)
ATTEMPTS_MAX = 12
CODE = "LETTERS_UNSENT"
ALARM_FROM = 3

# A letter that is being sent is not due: whoever dies with it leaves it to the next.
_CLAIM = """
UPDATE accounts_letter SET attempts = attempts + 1,
       due_at = %(now)s + least(interval '30 seconds' * power(2, attempts), interval '3 hours')
WHERE id IN (SELECT id FROM accounts_letter WHERE due_at <= %(now)s ORDER BY due_at LIMIT %(most)s
             FOR UPDATE SKIP LOCKED)
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Written:
    """A letter as it is sent."""

    subject: str
    text: str


def link_hash(secret: str) -> str:
    """SHA-256 of a link's secret: 32 random bytes need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def post(kind: str, to: str, **facts: Any) -> None:
    """Put a letter into the queue, in the caller's transaction."""
    now = clock.now()
    Letter.objects.create(kind=kind, to=to[:255], facts=facts, created_at=now, due_at=now)
    bell.task(DRAIN[0], queue=DRAIN[1])


def notice(user: User, text: str) -> None:
    """Tell a person what was changed about their account."""
    post(Letter.Kind.NOTICE, user.email, text=text)


def drain() -> int:
    """Write and send what is due; returns how many letters left."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"now": clock.now(), "most": BATCH})
        ids = [row[0] for row in cursor.fetchall()]
    sent = 0
    for letter in Letter.objects.filter(id__in=ids).order_by("id"):
        sent += _deliver(letter)
    return sent


def _deliver(letter: Letter) -> bool:
    now = clock.now()
    written = _WRITERS[letter.kind](letter, now)
    if written is not None:
        try:
            EmailMessage(written.subject, written.text, settings.DEFAULT_FROM_EMAIL, [letter.to]).send()
        except (OSError, smtplib.SMTPException) as problem:
            if letter.attempts >= ALARM_FROM:
                detail = {"attempts": letter.attempts, "problem": type(problem).__name__}
                alarms.raise_alarm(CODE, subject="mail", detail=detail, at=now)
            if letter.attempts >= ATTEMPTS_MAX:
                letter.delete()
            return False
        alarms.clear(CODE, subject="mail", at=now)
    letter.delete()
    return written is not None


def _reset(letter: Letter, now: datetime) -> Written | None:
    """A link to a new password; nothing for somebody we do not know."""
    user = User.objects.filter(email=letter.to, is_active=True).first()
    if user is None:
        return None
    url = _link(user.pk, MailedLink.Kind.RESET, "reset", good=RESET_GOOD, now=now)
    return _written("reset", "A new password for Nexgent", url=url, asked=letter.facts)


def _email(letter: Letter, now: datetime) -> Written | None:
    """A link that confirms a new e-mail, sent to that address; nothing when it belongs to somebody."""
    user = User.objects.filter(pk=UUID(letter.facts["userId"]), is_active=True).first()
    if user is None or User.objects.filter(email=letter.to).exists():
        return None
    url = _link(user.pk, MailedLink.Kind.EMAIL, "account/email", good=EMAIL_GOOD, now=now, email=letter.to)
    return _written("email", "Confirm your e-mail for Nexgent", url=url)


def _notice(letter: Letter, now: datetime) -> Written:
    return _written("notice", "Your Nexgent account", text=letter.facts["text"], at=now)


def _invitation(letter: Letter, now: datetime) -> Written:
    return _written("invitation", "An invitation to Nexgent", **letter.facts)


_WRITERS: dict[str, Callable[[Letter, datetime], Written | None]] = {
    Letter.Kind.RESET: _reset,
    Letter.Kind.EMAIL: _email,
    Letter.Kind.NOTICE: _notice,
    Letter.Kind.INVITATION: _invitation,
}


def _written(name: str, subject: str, **context: Any) -> Written:
    return Written(subject, render_to_string(f"letters/{name}.txt", context).strip() + "\n")


def _link(user_id: UUID, kind: str, path: str, *, good: timedelta, now: datetime, email: str = "") -> str:
    secret = secrets.token_urlsafe(32)
    MailedLink.objects.create(
        kind=kind,
        user_id=user_id,
        secret_hash=link_hash(secret),
        email=email,
        created_at=now,
        expires_at=now + good,
    )
    return f"{base_url()}/{path}/{secret}/"


def base_url() -> str:
    """Where people reach this installation."""
    return settings.PUBLIC_URL.rstrip("/") or f"http://127.0.0.1:{settings.ENV.port}"


def sweep(*, now: datetime) -> int:
    """Delete links that ended a day ago; returns how many went."""
    return MailedLink.objects.filter(expires_at__lt=now - timedelta(days=1)).delete()[0]
