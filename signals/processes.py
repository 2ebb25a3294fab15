"""What an entries process does for signals by itself: drain them when one is said to wait, and when nothing was said
for a while (the broker may be away).
"""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings
from django.db import DatabaseError, connection

from signals import fanout, services

log = logging.getLogger(__name__)
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
    while not _stop.is_set():
        client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=1)
        try:
            with client.pubsub(ignore_subscribe_messages=True) as subscription:
                subscription.subscribe(services.WAITING)
                while not _stop.is_set():
                    if subscription.get_message(timeout=1) is not None:
                        _drains.submit(_drain)
        except redis.RedisError:
            _stop.wait(1)
        finally:
            client.close()


def _drain() -> None:
    try:
        fanout.drain()
    except DatabaseError as problem:
        log.warning("signals not drained: %s", problem)
    except Exception:  # nobody waits for the answer of this thread: it is told here
        log.exception("signals not drained")
    finally:
        connection.close()
