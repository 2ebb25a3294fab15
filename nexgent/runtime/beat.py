"""Beat of which any number may run and one is active.

The active one holds an advisory lock of a database session of its own; the lock goes with the session, so that a killed
or cut-off beat hands over by itself. A standby looks each second.
"""

import logging
from typing import Any

import psycopg
from django.db import connection
from django_celery_beat.schedulers import DatabaseScheduler

logger = logging.getLogger(__name__)

LOCK = 0x6E65_7867_656E_7402
STANDBY_SECONDS = 1.0


class SingleScheduler(DatabaseScheduler):
    """django-celery-beat's scheduler, active only while it holds the lock."""

    _session: "psycopg.Connection[Any] | None" = None

    def tick(self, *args: Any, **kwargs: Any) -> float:
        if not self._is_active():
            return STANDBY_SECONDS
        return super().tick(*args, **kwargs)  # type: ignore[no-any-return]

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
        super().close()

    def _is_active(self) -> bool:
        try:
            if self._session is not None:
                self._session.execute("SELECT 1")  # a session that died has lost the lock
                return True
            return self._stand_in()
        except psycopg.OperationalError as problem:
            logger.warning("beat lost its database session: %s", problem)
            self._session = None
            return False

    def _stand_in(self) -> bool:
        parameters = connection.get_connection_params()
        for pool_only in ("cursor_factory", "context"):
            parameters.pop(pool_only, None)
        session: psycopg.Connection[Any] = psycopg.connect(**parameters, autocommit=True)
        row = session.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
        if row is not None and row[0]:
            self._session = session
            logger.info("beat is active")
            return True
        session.close()
        return False
