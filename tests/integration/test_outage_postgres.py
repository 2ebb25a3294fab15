"""PostgreSQL goes away under a real web process: readiness says so at once, and is green again by itself."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest

from nexgent.runtime.embedded import EmbeddedServers
from tests.integration.ws_support import ROOT, web_server

CAUSE_SECONDS, BACK_SECONDS = 2.5, 10.0
STRANGER = {"X-API-Key": "nex_" + "0" * 36}
AWAY_SECONDS = float(os.environ.get("AWAY_SECONDS", "8"))

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def servers():
    with tempfile.TemporaryDirectory(prefix="nexgent-outage-") as directory:
        Path(directory).chmod(0o711)
        servers = EmbeddedServers(Path(directory) / "data")
        servers.start_postgres(durable=False)
        servers.start_valkey()
        try:
            yield servers
        finally:
            servers.stop()


def checks(client):
    """What readiness says, and how long it took to say it."""
    begun = time.monotonic()
    answer = client.get("/api/v1/health/ready")
    assert answer.status_code in (200, 503)
    return answer.json()["checks"], time.monotonic() - begun


def until(client, wanted, seconds):
    begun = time.monotonic()
    while True:
        found, _ = checks(client)
        if all(found[name] is value for name, value in wanted.items()):
            return time.monotonic() - begun
        assert time.monotonic() - begun < seconds, found
        time.sleep(0.1)


def test_readiness_names_a_missing_postgresql_at_once_and_is_green_soon_after(servers):
    own = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, cwd=ROOT, env=os.environ | own, check=True)
    with (
        web_server(servers.redis_url, more=own) as started,
        httpx.Client(base_url=f"http://127.0.0.1:{started.port}", timeout=30) as client,
    ):
        until(client, {"database": True, "migrations": True, "redis": True}, 20)

        postgres = servers.processes["postgres"]
        postgres.send_signal(signal.SIGINT)
        postgres.wait()
        red, took = checks(client)
        assert (red["database"], red["migrations"], red["recovery"], red["redis"]) == (False, False, False, True)
        slowest, end = took, time.monotonic() + AWAY_SECONDS
        while time.monotonic() < end:
            assert client.get("/api/v1/auth/me", headers=STRANGER).status_code == 503  # it waits for the pool
            slowest = max(slowest, checks(client)[1])

        servers.spawn_postgres(durable=False)
        servers.wait_for_postgres()
        back = until(client, {"database": True, "migrations": True}, BACK_SECONDS + 20)
        after = {client.get("/api/v1/auth/me", headers=STRANGER).status_code for _ in range(10)}

    print(
        f"PostgreSQL away {AWAY_SECONDS:g} s: cause named within {slowest:.2f} s, green {back:.2f} s after its return"
    )
    assert slowest < CAUSE_SECONDS
    assert back < BACK_SECONDS
    assert after == {401}
