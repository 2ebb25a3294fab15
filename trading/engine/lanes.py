"""Lanes: the database's part of many orders, done in sets by one thread each.

What is ready at one moment goes into one transaction. Orders of one wallet share a lane, so that sets never wait for
each other's locks, and a hundred orders at once need two connections and a few transactions instead of a hundred.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection

from trading.engine.threads import OneThread

log = logging.getLogger(__name__)

Step = Callable[[list[Any]], None]
"""What a lane does with a set; it handles its own failures."""


class Lane(OneThread):
    """One thread with a queue for each step; an earlier step goes before a later one."""

    def __init__(self, name: str, steps: Sequence[Step], *, most: int) -> None:
        super().__init__(name)
        self._steps, self._most = steps, most
        self._queues: list[deque[Any]] = [deque() for _ in steps]

    def put(self, step: int, items: Sequence[Any]) -> None:
        """Hand over what is ready for a step; returns at once."""
        with self._wake:
            self.start()
            self._queues[step].extend(items)
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                if not any(self._queues) and not self._is_stopped:
                    connection.close()  # idle: somebody else may need it
                    self._wake.wait_for(lambda: any(self._queues) or self._is_stopped)
                if self._is_stopped:
                    connection.close()
                    return
                step, queue = next((i, queue) for i, queue in enumerate(self._queues) if queue)
                items = [queue.popleft() for _ in range(min(self._most, len(queue)))]
            try:
                self._steps[step](items)
            except Exception:
                log.exception("a set of orders was not handled")
