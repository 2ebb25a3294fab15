"""Sessions of the pages in a table that knows whose they are, so that a person can see and end them.

Django loads the store by this module's path (`SESSION_ENGINE`). What the list shows travels in the session's own data
and is copied into columns at each save.
"""

from typing import Any
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.base_session import AbstractBaseSession
from django.utils.dateparse import parse_datetime

from nexgent import clock
from nexgent.accounts.credentials import PageSession
from nexgent.ids import uuid7

MADE = "_made"
"""What was known when the session began: `{id, at, address, userAgent}`."""
PROVED = "_proved_at"
"""When the person last showed password or second factor, ISO 8601."""


class SessionStore(DatabaseStore):
    """Django's store on `PageSession`; keeps the row it read, for its time of last use."""

    row: PageSession | None = None

    @classmethod
    def get_model_class(cls) -> type[AbstractBaseSession]:
        return PageSession

    def _validate_session_key(self, key: str | None) -> bool:
        """Keys are letters and digits; what a cookie holds besides is not even looked up (a NUL would be an error)."""
        return bool(key) and super()._validate_session_key(key) and key.isascii() and key.isalnum()

    def _get_session_from_db(self) -> Any:
        self.row = super()._get_session_from_db()
        return self.row

    def create_model_instance(self, data: dict[str, Any]) -> PageSession:
        row: PageSession = super().create_model_instance(data)
        made = data.get(MADE) or {}
        now = clock.now()
        row.public_id = UUID(made["id"]) if "id" in made else uuid7()
        row.created_at = (parse_datetime(made["at"]) if "at" in made else None) or now
        row.address = str(made.get("address", ""))[:45]
        row.user_agent = str(made.get("userAgent", ""))[:300]
        row.user_id = UUID(data[SESSION_KEY]) if data.get(SESSION_KEY) else None
        row.used_at = now
        return row
