"""A thread that works off what it is handed, for what must never be left without one."""

import threading
from abc import ABC, abstractmethod


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
