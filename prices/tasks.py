"""Thin Celery entry points of the prices."""

from celery import shared_task

from prices import retention, services


@shared_task(name="prices.tasks.poll", expires=3)
def poll() -> None:
    """One round of polling, rung by beat every 1.5 s; without effect where the feeds do not run."""
    services.poll()


@shared_task(name="prices.tasks.describe")
def describe() -> None:
    """Ask the feeds about tokens that nobody has described yet or lately."""
    services.describe_watched()


@shared_task(name="prices.tasks.retain")
def retain() -> None:
    """Drop what is past its time: ticks after 7 days, one-minute candles after 90 (rolled into hours)."""
    retention.retain()
