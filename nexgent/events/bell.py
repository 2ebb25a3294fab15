"""Bells: hints that work is waiting. A bell may be lost, doubled or late; the database row is the queue of record.

A ring leaves after the commit through a bounded in-process queue and one sender thread per process, so that a slow or
absent Valkey never costs the caller more than a dictionary insert. Nothing is retried: beat rings every bell too, and
the hubs compare stream counters each second.
"""

import atexit
import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import redis
from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

WAITING_MAX = 10_000  # messages in this process; beyond it the oldest goes
RINGS_MAX = 500  # tasks of one Celery queue: a ring beyond adds nothing, the drains take all there is
TIMEOUT_SECONDS = 1.0
EXPIRES_SECONDS = 5
BATCH = 200


def task(name: str, *, queue: str) -> None:
    """After the commit, ring the argument-less Celery task `name`; equal waiting rings are one. Never raises."""
    _after_commit(lambda: _sender.ring(name, queue))


def publish(channel: str, message: bytes) -> None:
    """After the commit, PUBLISH `message` on a Valkey channel. Never raises."""
    _after_commit(lambda: _sender.post(channel, message))


def _after_commit(send: Callable[[], None]) -> None:
    # Asked first: `on_commit` outside a transaction connects to the database, which may be away.
    if connection.in_atomic_block:
        transaction.on_commit(send, robust=True)
    else:
        send()


def flush(timeout: float = 5.0) -> bool:
    """Wait until everything rung so far was tried; False when that took longer than `timeout` seconds."""
    return _sender.flush(timeout)


def counts() -> dict[str, int]:
    """Counters since the process started: sent, failed, dropped."""
    return {"sent": _sender.sent, "failed": _sender.failed, "dropped": _sender.dropped}


@dataclass(slots=True)
class _Waiting:
    messages: deque[tuple[str, bytes]] = field(default_factory=deque)
    rings: dict[tuple[str, str], None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.messages or self.rings)


class _Sender:
    """The queue and its thread, started by the first ring of a process."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.waiting = _Waiting()
        self.busy = False
        self.thread: threading.Thread | None = None
        self.sent = self.failed = self.dropped = 0
        self.is_down = False
        self.valkey: redis.Redis | None = None
        self.producer: Any = None

    def ring(self, name: str, queue: str) -> None:
        with self.condition:
            self.waiting.rings[(name, queue)] = None
            self._wake()

    def post(self, channel: str, message: bytes) -> None:
        with self.condition:
            if len(self.waiting.messages) >= WAITING_MAX:
                self.waiting.messages.popleft()
                self.dropped += 1
            self.waiting.messages.append((channel, message))
            self._wake()

    def flush(self, timeout: float) -> bool:
        with self.condition:
            return self.condition.wait_for(lambda: not self.waiting and not self.busy, timeout)

    def _wake(self) -> None:
        if self.thread is None or not self.thread.is_alive():
            self.thread = threading.Thread(target=self._run, name="bell", daemon=True)
            self.thread.start()
        self.condition.notify_all()

    def _run(self) -> None:
        while True:
            with self.condition:
                self.busy = False
                self.condition.notify_all()
                self.condition.wait_for(lambda: bool(self.waiting))
                self.busy = True
                messages = [self.waiting.messages.popleft() for _ in range(min(BATCH, len(self.waiting.messages)))]
                rings = list(self.waiting.rings)
                self.waiting.rings.clear()
            try:
                self._send(messages, rings)
            except Exception as error:  # whatever the client raises, the thread lives and the ring is lost
                self._failed(error, len(messages) + len(rings))
            else:
                self._worked(len(messages) + len(rings))

    def _send(self, messages: list[tuple[str, bytes]], rings: list[tuple[str, str]]) -> None:
        if self.valkey is None:
            self.valkey = connect()
        with self.valkey.pipeline(transaction=False) as pipe:
            for channel, message in messages:
                pipe.publish(channel, message)
            for _, queue in rings:
                pipe.llen(queue)
            lengths = pipe.execute()[len(messages) :]
        for (name, queue), length in zip(rings, lengths, strict=True):
            if length < RINGS_MAX:
                self._send_task(name, queue)

    def _send_task(self, name: str, queue: str) -> None:
        app = import_string(settings.TASK_APPLICATION)
        if self.producer is None:
            options = {**app.conf.broker_transport_options, **_BROKER_OPTIONS}
            self.producer = app.amqp.Producer(app.connection_for_write(transport_options=options))
        app.send_task(
            name, queue=queue, producer=self.producer, retry=False, ignore_result=True, expires=EXPIRES_SECONDS
        )

    def _failed(self, error: Exception, count: int) -> None:
        self.failed += count
        if not self.is_down:
            logger.warning("bells are lost, Valkey does not answer: %s", error)
        self.is_down = True
        producer, self.producer = self.producer, None
        if producer is not None:
            with contextlib.suppress(Exception):  # a connection that failed may fail to close
                producer.connection.release()

    def _worked(self, count: int) -> None:
        self.sent += count
        if self.is_down:
            logger.warning("bells work again, %d were lost so far", self.failed)
        self.is_down = False


_BROKER_OPTIONS = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS, "max_retries": 0}


def connect() -> redis.Redis:
    """A Valkey client with short time-outs and no retry, for one thread."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


_sender = _Sender()


def _fresh() -> None:
    """After a fork: the parent's thread, lock and sockets are not ours."""
    global _sender
    _sender = _Sender()


def _last_rings() -> None:
    if _sender.thread is not None:
        _sender.flush(1.0)


os.register_at_fork(after_in_child=_fresh)
atexit.register(_last_rings)
