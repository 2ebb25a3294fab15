"""Alarms of the feeds, noted where they arise and told to PostgreSQL by the writer.

A note is a dictionary entry: neither the engine's thread nor a feed's waits for the database because something is
wrong. Only changes are told; after a restart the first note of each subject is, whatever it says.
"""

import threading
from datetime import datetime

from nexgent import clock
from nexgent.events import alarms

Detail = dict[str, object] | None


class Notes:
    """What is wrong as far as this process knows; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str], tuple[Detail, datetime]] = {}
        self._is_raised: dict[tuple[str, str], bool] = {}

    def note(self, code: str, subject: str, detail: Detail) -> bool:
        """Remember that `code` is up for `subject`, or with detail None that it is over; True when that is news."""
        key, is_raised = (code, subject), detail is not None
        with self._lock:
            if self._is_raised.get(key) is is_raised:
                return False
            self._is_raised[key] = is_raised
            self._pending[key] = (detail, clock.now())
        return True

    def tell(self) -> None:
        """Write the changes down. Raises DatabaseError; what was not told stays pending."""
        while True:
            with self._lock:
                if not self._pending:
                    return
                key, (detail, at) = next(iter(self._pending.items()))
            code, subject = key
            if detail is None:
                alarms.clear(code, subject=subject, at=at)
            else:
                alarms.raise_alarm(code, subject=subject, detail=dict(detail), at=at)
            with self._lock:
                if self._pending.get(key, (None, None))[1] == at:
                    del self._pending[key]
