"""The last stage stamp: when the event of a filled order had been sent. Written in batches by a thread of its own."""

import json
import logging
import threading
from collections.abc import Sequence
from uuid import UUID

from django.db import connection, transaction

from nexgent import clock, rows
from nexgent.events import bell

log = logging.getLogger(__name__)
WAITING_MAX = 50_000
PAUSE_SECONDS = 0.1
_UPDATE = f"""
WITH locked AS (SELECT id FROM trading_order WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE)
UPDATE trading_order o SET stages = o.stages || jsonb_build_object('published', %s::text)
FROM locked WHERE o.id = locked.id AND {rows.UNHURRIED}
"""  # noqa: S608


class _Stamper:
    def __init__(self) -> None:
        self._waiting: list[UUID] = []
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_busy = False

    def add(self, order_ids: Sequence[UUID]) -> None:
        with self._wake:
            if len(self._waiting) < WAITING_MAX:
                self._waiting.extend(order_ids)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="published", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def flush(self, timeout: float) -> bool:
        with self._wake:
            return self._wake.wait_for(lambda: not self._waiting and not self._is_busy, timeout)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: bool(self._waiting))
                order_ids, self._waiting = self._waiting, []
                self._is_busy = True
            bell.flush(PAUSE_SECONDS)
            at = clock.now().isoformat()
            try:
                with connection.cursor() as cursor:
                    cursor.execute(_UPDATE, [order_ids, at])
            except Exception as problem:  # whatever it was: the thread lives, a stamp is lost
                log.warning("published not stamped: %s", json.dumps(str(problem)))
            finally:
                connection.close()
                with self._wake:
                    self._is_busy = False
                    self._wake.notify_all()
            threading.Event().wait(PAUSE_SECONDS)


_stamper = _Stamper()


def flush(timeout: float = 5.0) -> bool:
    """Wait until everything committed so far is stamped and the thread gave its connection back; False when that took
    longer than `timeout` seconds.
    """
    return _stamper.flush(timeout)


def after_commit(order_ids: Sequence[UUID]) -> None:
    """Stamp these orders once the commit's events are out. A stamp that is lost is only a missing latency."""
    transaction.on_commit(lambda: _stamper.add(list(order_ids)), robust=True)
