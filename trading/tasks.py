"""Celery entry points of the engine: argument-less bells, each only calls its service."""

from celery import shared_task

from nexgent import clock
from trading import maintenance
from trading.engine import stuck
from trading.engine.drains import drain_of
from trading.engine.processes import check_exits
from trading.models import Side
from trading.performance.snapshots import capture


@shared_task(name="trading.exits_drain")
def exits_drain() -> None:
    drain_of(Side.SELL).drain()


@shared_task(name="trading.entries_drain")
def entries_drain() -> None:
    drain_of(Side.BUY).drain()


@shared_task(name="trading.check_exits")
def check_all_exits() -> None:
    check_exits()


@shared_task(name="trading.snapshots")
def snapshots() -> None:
    capture()


@shared_task(name="trading.untradable")
def untradable() -> None:
    """Mark positions that cannot be traded, close what agents left behind, and end the alarms of what is done."""
    maintenance.mark_untradable()
    maintenance.close_left_behind()
    stuck.clear_ended(at=clock.now())
