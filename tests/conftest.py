"""Fixtures that every kind of test shares."""

from typing import Any

import pytest
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations

_TRUNCATE_TRIGGERS = """
    SELECT tgrelid::regclass::text, quote_ident(tgname), CASE tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END
    FROM pg_trigger WHERE NOT tgisinternal AND tgtype & 32 <> 0
"""


@pytest.fixture(scope="session", autouse=True)
def _flush_past_guards() -> Any:
    """Let the flush after a transactional test truncate what triggers keep, as the tables' owner."""
    original = DatabaseOperations.sql_flush

    def sql_flush(self: DatabaseOperations, style: Any, tables: Any, **options: Any) -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute(_TRUNCATE_TRIGGERS)
            guards = cursor.fetchall()
        return [
            *(f"ALTER TABLE {table} DISABLE TRIGGER {name}" for table, name, _ in guards),
            *original(self, style, tables, **options),
            *(f"ALTER TABLE {table} {enable} TRIGGER {name}" for table, name, enable in guards),
        ]

    patch = pytest.MonkeyPatch()
    patch.setattr(DatabaseOperations, "sql_flush", sql_flush)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _no_prices_left() -> None:
    """Valkey keeps the newest price of a mint, whatever test it came from: each test begins without any."""
    from prices import cache

    cache.forget()
