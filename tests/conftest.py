"""Fixtures that every kind of test shares."""

import ipaddress
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Any:
    """Nothing but loopback: a test that asks the outside fails instead of depending on it."""
    original = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise AssertionError(f"a test tried to reach {address[0]}: only loopback is allowed")
        original(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", connect)
    yield
    patch.undo()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The system's Chromium. Without one the test is skipped, with `REQUIRE_BROWSER=1` it fails."""
    found = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if found is None and os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail("no Chromium, and REQUIRE_BROWSER=1: apt-get install chromium")
    if found is None:
        pytest.skip("e2e skipped: no Chromium")
    return Path(found)


_TRUNCATE_TRIGGERS = """
    SELECT tgrelid::regclass::text, quote_ident(tgname), CASE tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END
    FROM pg_trigger WHERE NOT tgisinternal AND tgtype & 32 <> 0
"""


_KEPT = frozenset({"django_migrations", "django_content_type", "auth_permission"})
"""What migrations made and no test changes; kept, so that it need not be made again after each flush."""


@pytest.fixture(scope="session", autouse=True)
def _flush_past_guards() -> Any:
    """The flush after a transactional test: past the triggers that keep rows, as the tables' owner, and only of tables
    that hold anything.
    """
    original = DatabaseOperations.sql_flush

    def sql_flush(self: DatabaseOperations, style: Any, tables: Any, **options: Any) -> list[str]:
        used = _tables_with_rows([table for table in tables if table not in _KEPT])
        with connection.cursor() as cursor:
            cursor.execute(_TRUNCATE_TRIGGERS)
            guards = cursor.fetchall()
        return [
            *(f"ALTER TABLE {table} DISABLE TRIGGER {name}" for table, name, _ in guards),
            *(original(self, style, used, **(options | {"allow_cascade": True})) if used else []),
            *(f"ALTER TABLE {table} {enable} TRIGGER {name}" for table, name, enable in guards),
        ]

    patch = pytest.MonkeyPatch()
    patch.setattr(DatabaseOperations, "sql_flush", sql_flush)
    patch.setattr("django.core.management.commands.flush.emit_post_migrate_signal", lambda *_: None)
    yield
    patch.undo()


def _tables_with_rows(tables: list[str]) -> list[str]:
    questions = " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM \"{table}\")" for table in tables)
    with connection.cursor() as cursor:
        cursor.execute(questions)
        return [row[0] for row in cursor.fetchall()]


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Any:
    """Argon2 with little work: hundreds of tests make a user."""
    from django.contrib.auth.hashers import Argon2PasswordHasher

    patch = pytest.MonkeyPatch()
    for name, value in (("time_cost", 1), ("memory_cost", 8), ("parallelism", 1)):
        patch.setattr(Argon2PasswordHasher, name, value)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Any:
    """The test database goes when the thread that stamps filled orders has done so: it would keep a connection."""
    yield
    from trading.engine import published

    published.flush()


@pytest.fixture(autouse=True)
def _no_prices_left() -> None:
    """Valkey keeps the newest price of a mint, whatever test it came from: each test begins without any."""
    from prices import cache

    cache.forget()


@pytest.fixture
def tape(transactional_db: None) -> Any:
    """A clock that the test moves; afterwards every invariant of the books must hold."""
    from tests.trader import tape_clock
    from trading.books import check

    with tape_clock() as tape:
        yield tape
        assert check().problems == ()
