"""PostgreSQL goes away under a real web process: readiness says so at once, and is green again by itself."""

import signal
import time

import pytest

from tests.independence.scale import SCALE, Figure, misses, note
from tests.outages.readiness import asked, migrate, until

STRANGER = {"X-API-Key": "nex_" + "0" * 36}

pytestmark = pytest.mark.django_db(transaction=True)


def checks(client):
    """What readiness says, and how long it took to say it."""
    begun = time.monotonic()
    answer = client.get("/api/v1/health/ready")
    assert answer.status_code in (200, 503)
    return answer.json()["checks"], time.monotonic() - begun


def test_readiness_names_a_missing_postgresql_at_once_and_is_green_soon_after(servers, addresses):
    migrate(addresses)
    with asked(addresses) as client:
        until(client, {"database": True, "migrations": True, "redis": True}, seconds=20)

        postgres = servers.processes["postgres"]
        postgres.send_signal(signal.SIGINT)
        postgres.wait()
        red, took = checks(client)
        assert (red["database"], red["migrations"], red["recovery"], red["redis"]) == (False, False, False, True)
        slowest, end = took, time.monotonic() + SCALE.postgres_away
        while time.monotonic() < end:
            assert client.get("/api/v1/auth/me", headers=STRANGER).status_code == 503  # it waits for the pool
            slowest = max(slowest, checks(client)[1])

        servers.spawn_postgres(durable=False)
        servers.wait_for_postgres()
        back = until(client, {"database": True, "migrations": True}, seconds=SCALE.back_max + 20)
        after = {client.get("/api/v1/auth/me", headers=STRANGER).status_code for _ in range(10)}

    figures = [Figure("cause named", slowest, SCALE.cause_max), Figure("green after its return", back, SCALE.back_max)]
    note(f"PostgreSQL away for {SCALE.postgres_away:g} s", *figures, words=f"answers after it: {sorted(after)}")
    assert misses(figures) == []
    assert after == {401}
