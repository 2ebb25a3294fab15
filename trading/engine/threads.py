"""Threads that live as long as their process: no failure of one turn ends them, and none is begun by halves."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import DatabaseError, InterfaceError, connection

log = logging.getLogger(__name__)


@contextmanager
def turn(what: str) -> Iterator[None]:
    """One turn of a thread that lives on: a failure is told as `what`, and the database's connection is given back.

    That the database is away is expected and takes a line; anything else is told with its traceback.
    """
    try:
        yield
    except (DatabaseError, InterfaceError, psycopg.Error) as problem:
        log.warning("%s: %s", what, problem)
    except Exception:
        log.exception(what)
    finally:
        connection.close()


class Precedence:
    """One thread goes first; the others look between two pieces of their work and wait while it is at work.

    A lock alone does not do it: whoever gives it back in a loop has it again before the one that waits has the
    interpreter.
    """

    def __init__(self) -> None:
        self._is_free = threading.Event()
        self._is_free.set()

    def take(self) -> None:
        """The first one is at work, or is about to be: whoever wakes it may say so for it."""
        self._is_free.clear()

    def give_back(self) -> None:
        self._is_free.set()

    def wait(self, until: float) -> None:
        """Wait for the first one until that moment (`time.monotonic`) at most, and then work beside it."""
        if not self._is_free.is_set():
            self._is_free.wait(max(until - time.monotonic(), 0.0))


class OneThread(ABC):
    """One daemon thread that runs `_run` and waits on `_wake`; subclasses hand it work under that condition."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Begin the thread, once. Raises `RuntimeError` when the system has none to give; it may be tried again."""
        with self._wake:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread

    def stop(self) -> None:
        """Begin nothing more; what it does now ends."""
        with self._wake:
            self._is_stopped = True
            self._wake.notify()

    @abstractmethod
    def _run(self) -> None:
        """What the thread does until it is stopped."""
