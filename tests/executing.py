"""Somebody who executes what is planned while a test goes on, as the workers do."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from nexgent import clock
from trading.engine import leases
from trading.engine.executor import execute
from trading.models import Side


@contextmanager
def executing(side: Side = Side.SELL) -> Iterator[None]:
    """A thread that executes every order of one side, from the first until the block ends."""
    end = threading.Event()

    def run() -> None:
        while not end.wait(0.02):
            for order_id in leases.claim(side, most=10, at=clock.now()):
                execute(order_id, leases.OWNER)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
