"""Celery entry points of the installation."""

from celery import shared_task

from nexgent.runtime import ledger_watch


@shared_task(name="runtime.check_books")
def check_books() -> None:
    """The invariants that cost little; `manage.py books --check` reads everything."""
    ledger_watch.check()
