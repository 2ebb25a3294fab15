"""Celery entry points of the signals: argument-less bells."""

from celery import shared_task

from nexgent import clock
from signals import fanout, hooks, stuck
from signals import momentum as momentum_source


@shared_task(name="signals.drain")
def drain() -> None:
    fanout.drain()


@shared_task(name="signals.unstuck")
def unstuck() -> None:
    """End alarms of what is answered by now."""
    stuck.clear_ended(at=clock.now())


@shared_task(name="signals.momentum")
def momentum() -> None:
    """Tell the demo what rises; nothing outside a demo."""
    momentum_source.run()


@shared_task(name="signals.sweep")
def sweep() -> None:
    """Forget old messages of signed hooks; beat calls it hourly."""
    hooks.sweep(now=clock.now())
