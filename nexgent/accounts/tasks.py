"""Celery entry points of accounts."""

from celery import shared_task

from nexgent import clock
from nexgent.accounts import guards, letters, sessions, signed_keys, tokens
from nexgent.api import idempotency


@shared_task(name="accounts.sweep")
def sweep() -> None:
    """Delete what is past its time: sessions, revocations, login counters, kept answers; beat calls it hourly."""
    now = clock.now()
    tokens.sweep(now=now)
    sessions.sweep(now=now)
    guards.sweep(now=now)
    letters.sweep(now=now)
    signed_keys.sweep(now=now)
    idempotency.sweep(now=now)


@shared_task(name="accounts.letters")
def deliver() -> None:
    """Write and send the letters that are due."""
    letters.drain()
