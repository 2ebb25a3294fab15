"""A channel of Valkey heard by a thread. What is missed while the line is down, the hearer has to find by itself."""

import logging
import threading
from collections.abc import Callable

import redis
from django.conf import settings

log = logging.getLogger(__name__)
AGAIN_SECONDS = 1.0


def listen(channel: str, on_message: Callable[[bytes], None], *, stop: threading.Event) -> None:
    """Hand every message of a channel to `on_message` until `stop` is set; returns within a second of that.

    A line that breaks is drawn again; a message on which `on_message` fails is told and passed over.
    """
    while not stop.is_set():
        client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=1)
        try:
            with client.pubsub(ignore_subscribe_messages=True) as subscription:
                subscription.subscribe(channel)
                while not stop.is_set():
                    message = subscription.get_message(timeout=1)
                    if message is not None:
                        _hand_over(channel, message["data"], on_message)
        except redis.RedisError as problem:
            log.info("%s is not heard: %s", channel, problem)
            stop.wait(AGAIN_SECONDS)
        finally:
            client.close()


def _hand_over(channel: str, message: bytes, on_message: Callable[[bytes], None]) -> None:
    try:
        on_message(message)
    except Exception:  # the thread lives: the next message may be a good one
        log.exception("a message of %s was not taken", channel)
