"""What an entries process does for signals by itself: drain them when no bell rang for a while (the broker may be
away).
"""

import logging
import threading
import time
from typing import Any

from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings
from django.db import DatabaseError, connection

from signals import fanout

log = logging.getLogger(__name__)
SILENCE_SECONDS = 1.2
LOOK_SECONDS = 0.3
_stop = threading.Event()


def connect() -> None:
    """Listen to the worker's start and stop; processes that are no workers never hear them."""
    worker_ready.connect(_start, weak=False, dispatch_uid="signals.start")
    worker_shutting_down.connect(_end, weak=False, dispatch_uid="signals.stop")


def _start(**_: Any) -> None:
    if settings.PROCESS == "entries":
        threading.Thread(target=_watch, name="signals-timer", daemon=True).start()


def _end(**_: Any) -> None:
    _stop.set()


def _watch() -> None:
    while not _stop.wait(LOOK_SECONDS):
        if time.monotonic() - fanout.drained_at() < SILENCE_SECONDS:
            continue
        try:
            fanout.drain()
        except DatabaseError as problem:
            log.warning("signals not drained: %s", problem)
        finally:
            connection.close()
