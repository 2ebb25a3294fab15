"""What an entries process does for signals by itself: drain them when one is said to wait, and when nothing was said
for a while (the broker may be away).
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings

from nexgent.events.listener import listen
from signals import fanout, services
from trading.engine.threads import turn

SILENCE_SECONDS = 1.2
LOOK_SECONDS = 0.3
_stop = threading.Event()
_drains = ThreadPoolExecutor(fanout.DRAINS_MAX, thread_name_prefix="signals")


def connect() -> None:
    """Listen to the worker's start and stop; processes that are no workers never hear them."""
    worker_ready.connect(_start, weak=False, dispatch_uid="signals.start")
    worker_shutting_down.connect(_end, weak=False, dispatch_uid="signals.stop")


def _start(**_: Any) -> None:
    if settings.PROCESS == "entries":
        threading.Thread(target=_watch, name="signals-timer", daemon=True).start()
        threading.Thread(target=_listen, name="signals-bell", daemon=True).start()


def _end(**_: Any) -> None:
    _stop.set()


def _watch() -> None:
    while not _stop.wait(LOOK_SECONDS):
        if time.monotonic() - fanout.drained_at() >= SILENCE_SECONDS:
            _drain()


def _listen() -> None:
    """Drain when a signal is said to wait. What is missed here the timer and beat find."""
    listen(services.WAITING, lambda _: _drains.submit(_drain), stop=_stop)


def _drain() -> None:
    with turn("signals not drained"):
        fanout.drain()
