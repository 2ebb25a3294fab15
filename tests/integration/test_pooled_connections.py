"""Whether a pooled connection lives: seen without a round trip, and asked once a second."""

import pytest
from django.conf import settings
from django.db import connection, connections
from psycopg_pool import ConnectionPool

from nexgent.runtime.postgresql.base import DatabaseWrapper
from nexgent.runtime.postgresql.pooled import ASKED_EVERY_S, PooledConnection

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pooled():
    one = PooledConnection.connect(**connection.get_connection_params(), autocommit=True)
    yield one
    one.close()


@pytest.fixture
def wrapper():
    """A connection as the web process has it."""
    own = {**connection.settings_dict, "CONN_HEALTH_CHECKS": False}
    own["OPTIONS"] = {
        **own["OPTIONS"],
        "pool": {"min_size": 1, "max_size": 2, "timeout": 10, "connection_class": PooledConnection},
    }
    one = DatabaseWrapper(own, alias="pooled")
    yield one
    one.close()
    one.close_pool()


def end(backend: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
        assert cursor.fetchone() == (True,)


def pid(wrapper: DatabaseWrapper) -> int:
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_a_connection_that_just_answered_is_not_asked_again(pooled):
    first = pooled.is_alive()
    asked_at = pooled.asked_at

    assert (first, pooled.is_alive()) == (True, True)
    assert pooled.asked_at == asked_at > 0


def test_a_connection_is_asked_again_after_a_second(pooled):
    assert pooled.is_alive()
    pooled.asked_at -= ASKED_EVERY_S
    long_ago = pooled.asked_at

    assert pooled.is_alive()
    assert pooled.asked_at > long_ago


def test_a_notice_is_read_and_the_connection_lives(pooled):
    pooled.execute("LISTEN bell")
    assert pooled.is_alive()
    with connection.cursor() as cursor:
        cursor.execute("NOTIFY bell")

    assert (pooled.is_alive(), pooled.is_alive()) == (True, True)


def test_a_backend_that_ended_is_seen_at_once(pooled):
    assert pooled.is_alive()

    end(pooled.info.backend_pid)

    assert pooled.is_alive() is False


def test_the_pool_gives_a_living_connection_after_its_backends_ended(wrapper):
    first = pid(wrapper)
    wrapper.close()

    end(first)
    second = pid(wrapper)

    assert second != first
    assert isinstance(wrapper.pool, ConnectionPool)


def test_every_process_with_a_pool_looks_through_ours():
    assert settings.DATABASES["default"]["ENGINE"] == "nexgent.runtime.postgresql"
    assert isinstance(connections["default"], DatabaseWrapper)
