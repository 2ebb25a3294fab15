"""Celery entry point of the signals: an argument-less bell."""

from celery import shared_task

from signals import fanout


@shared_task(name="signals.drain")
def drain() -> None:
    fanout.drain()
