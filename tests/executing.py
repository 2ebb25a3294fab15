"""Somebody at work beside a test: a thread that does one thing again and again, above all what the workers do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection

from nexgent import clock
from trading.engine import leases
from trading.engine.executor import execute
from trading.models import Side

PAUSE_SECONDS = 0.02


@contextmanager
def beside(step: Callable[[], object]) -> Iterator[None]:
    """A thread that takes the step again and again until the block ends."""
    end = threading.Event()

    def run() -> None:
        try:
            while not end.wait(PAUSE_SECONDS):
                step()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def execute_planned(*sides: Side) -> None:
    """Execute every order that waits, sells before buys when both are asked for."""
    for side in sides:
        for order_id in leases.claim(side, most=50, at=clock.now()):
            execute(order_id, leases.OWNER)


@contextmanager
def executing() -> Iterator[None]:
    """Sells what is planned, as an exits process does."""
    with beside(lambda: execute_planned(Side.SELL)):
        yield
