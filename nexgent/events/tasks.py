"""Celery entry points of the event streams."""

from celery import shared_task

from nexgent import clock
from nexgent.events import services


@shared_task(name="events.sweep")
def sweep() -> None:
    """Delete events older than seven days; beat calls it hourly."""
    services.sweep(now=clock.now())
