"""A pooled connection that knows when its server last answered."""

import select
import time
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

ASKED_EVERY_S = 1.0


class PooledConnection(psycopg.Connection[Any]):
    """What the pool holds (`settings.DATABASES`)."""

    asked_at = 0.0

    def is_alive(self) -> bool:
        """Whether the server is there; asks it at most once a second while the socket is silent."""
        if self.closed:
            return False
        if time.monotonic() - self.asked_at < ASKED_EVERY_S and self._is_silent():
            return True
        try:
            ConnectionPool.check_connection(self)
        except psycopg.Error:
            return False
        self.asked_at = time.monotonic()
        return True

    def _is_silent(self) -> bool:
        heard = select.poll()  # not `select`: the numbers of sockets may be above 1,023
        heard.register(self.pgconn.socket, select.POLLIN)
        return not heard.poll(0)
