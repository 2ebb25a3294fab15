"""Celery entry points of the signals: argument-less bells."""

from celery import shared_task

from signals import fanout
from signals import momentum as momentum_source


@shared_task(name="signals.drain")
def drain() -> None:
    fanout.drain()


@shared_task(name="signals.momentum")
def momentum() -> None:
    """Tell the demo what rises; nothing outside a demo."""
    momentum_source.run()
