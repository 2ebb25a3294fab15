"""Celery entry points of the event streams."""

from celery import shared_task

from nexgent import clock
from nexgent.events import services, webhook_delivery, webhook_queue, webhooks


@shared_task(name="events.sweep")
def sweep() -> None:
    """Delete events and finished deliveries older than seven days; beat calls it hourly."""
    now = clock.now()
    services.sweep(now=now)
    webhook_queue.sweep(now=now)


@shared_task(name=webhooks.DRAIN)
def send_webhooks() -> None:
    """Send events to webhooks; rung when a person asks for one, and by beat each second."""
    webhook_delivery.drain()
