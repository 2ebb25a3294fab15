"""Beat of which any number may run and one is active.

The active one holds an advisory lock of a database session of its own; the lock goes with the session, and the session
with its holder: killed, or silent for three times the longest pause between two rounds because it is frozen or cut off.
So it hands over by itself. A standby looks each second. A round that waits for a broker which hangs may lose the place,
and takes it again when nobody else did.
"""

import logging
from datetime import timedelta
from typing import Any

import psycopg
import redis
from celery import schedules
from django.conf import settings
from django_celery_beat.models import IntervalSchedule
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from nexgent.held_session import SILENCE_SECONDS, open_session
from nexgent.runtime import presence

logger = logging.getLogger(__name__)

LOCK = 0x6E65_7867_656E_7402
STANDBY_SECONDS = 1.0


class Entry(ModelEntry):
    """A line of the schedule whose interval may be a fraction of seconds, which the table counts in whole ones."""

    @classmethod
    def to_model_schedule(cls, schedule: Any) -> tuple[Any, str]:
        wanted = schedules.maybe_schedule(schedule)
        if isinstance(wanted, schedules.crontab) or not isinstance(wanted, schedules.schedule):
            return super().to_model_schedule(schedule)  # type: ignore[no-any-return]
        if wanted.run_every.microseconds == 0:
            return super().to_model_schedule(schedule)  # type: ignore[no-any-return]
        every = wanted.run_every // timedelta(microseconds=1)
        row, _ = IntervalSchedule.objects.get_or_create(every=every, period=IntervalSchedule.MICROSECONDS)
        return row, "interval"


class SingleScheduler(DatabaseScheduler):
    """django-celery-beat's scheduler, active only while it holds the lock."""

    Entry = Entry
    _session: "psycopg.Connection[Any] | None" = None
    _valkey: redis.Redis | None = None

    def tick(self, *args: Any, **kwargs: Any) -> float:
        if not self._is_active():
            return STANDBY_SECONDS
        return super().tick(*args, **kwargs)  # type: ignore[no-any-return]

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send one line's message, unless as many wait in its queue as a worker that is gone may find."""
        if self._backlog(entry.options.get("queue") or settings.CELERY_TASK_DEFAULT_QUEUE) < settings.BEAT_BACKLOG_MAX:
            super().apply_entry(entry, producer=producer)

    def _backlog(self, queue: str) -> int:
        """Messages that wait in a queue; 0 when Valkey does not say."""
        self._valkey = self._valkey or presence.client()
        try:
            return int(self._valkey.llen(queue))  # type: ignore[arg-type]
        except redis.RedisError:
            return 0

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
        session = open_session(silence_seconds=SILENCE_SECONDS)
        row = session.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
        if row is not None and row[0]:
            self._session = session
            logger.info("beat is active")
            return True
        session.close()
        return False
