"""What each worker process starts: drains in exits and entries, the engine role in prices (exits stand by)."""

from typing import Any

from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings

from trading.engine import drains, interpreter, way
from trading.models import Side

_role: Any = None


def connect() -> None:
    """Listen to the worker's start and stop; processes that are no workers never hear them."""
    worker_ready.connect(_start, weak=False, dispatch_uid="trading.start")
    worker_shutting_down.connect(_stop, weak=False, dispatch_uid="trading.stop")


def check_exits() -> None:
    """The check of all open positions, each second: heals lost bells, runs the rules of time. Nothing on a standby."""
    if _role is not None and _role.engine is not None:
        _role.engine.check()


def _start(sender: Any = None, **_: Any) -> None:
    global _role
    kind = settings.PROCESS
    interpreter.tune(kind)
    if kind == "exits":
        drains.drain_of(Side.SELL).drain()
    if kind == "entries":
        way.listen()
        drains.drain_of(Side.BUY).drain()
    if kind in ("prices", "exits"):
        from trading.engine.role import Role  # NumPy comes with it: only where it is needed

        _role = Role(
            is_standby=kind == "exits",
            on_active=lambda: _consume_prices(sender),
            on_passive=lambda: _leave_prices(sender),
        )
        _role.start()


def _consume_prices(consumer: Any) -> None:
    """An exits process that took the role over answers the prices queue too."""
    if settings.PROCESS != "prices" and consumer is not None:
        consumer.app.control.add_consumer("prices", destination=[consumer.hostname])


def _leave_prices(consumer: Any) -> None:
    """Without the role it leaves that queue to the process that has it: a check that a standby takes checks nothing."""
    if settings.PROCESS != "prices" and consumer is not None:
        consumer.app.control.cancel_consumer("prices", destination=[consumer.hostname])


def _stop(**_: Any) -> None:
    if _role is not None:
        _role.stop()
    drains.stop_all()
