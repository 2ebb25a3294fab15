"""Each dependency away in turn under a real web process: readiness names it, and is green within 10 s of its return.

PostgreSQL itself is in `tests/integration/test_outage_postgres.py`.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from nexgent.runtime.embedded import EmbeddedServers, die_with_parent
from tests.integration.ws_support import ROOT, web_server

BACK_SECONDS = 10.0
ALL = {"database": True, "migrations": True, "redis": True, "recovery": True}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def servers():
    with tempfile.TemporaryDirectory(prefix="nexgent-ready-") as directory:
        Path(directory).chmod(0o711)
        servers = EmbeddedServers(Path(directory) / "data")
        servers.start_postgres(durable=False)
        servers.start_valkey()
        try:
            yield servers
        finally:
            servers.stop()


@contextmanager
def worker(queue, environment):
    """A process of one kind, as the Procfile starts it."""
    words = [sys.executable, "-m", "celery", "-A", "nexgent", "worker", "-Q", queue, "-P", "threads", "-c", "2"]
    process = subprocess.Popen(
        [*words, "-n", f"{queue}@test", "--without-gossip", "--without-mingle", "--without-heartbeat"],
        cwd=ROOT,
        env={**environment, "NEXGENT_PROCESS": queue},
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent(signal.SIGTERM),
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(15)


def until(client, wanted, *, seconds, path="/api/v1/health/ready", part="checks"):
    """Seconds until the answer says what is wanted."""
    begun = time.monotonic()
    while True:
        answer = client.get(path)
        assert answer.status_code in (200, 503)
        found = answer.json()[part]
        if all(found[name] == value for name, value in wanted.items()):
            return time.monotonic() - begun
        assert time.monotonic() - begun < seconds, found
        time.sleep(0.1)


def test_each_dependency_that_is_away_is_named_and_its_return_is_seen(servers, capsys):
    environment = {**os.environ, "DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run([*migrate, "signals", "0003"], cwd=ROOT, env=environment, check=True)
    back = {}
    own = {name: environment[name] for name in ("DATABASE_URL", "REDIS_URL")}
    with (
        web_server(servers.redis_url, more=own) as started,
        httpx.Client(base_url=f"http://127.0.0.1:{started.port}", timeout=30) as client,
    ):
        # migrations missing
        until(client, {"database": True, "migrations": False, "redis": True, "recovery": False}, seconds=20)
        subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
        back["migrations"] = until(client, {"migrations": True, "recovery": False}, seconds=BACK_SECONDS)

        # the engine that watches open positions: readiness; a worker: health
        with worker("prices", environment) as engine:
            back["engine"] = until(client, ALL, seconds=30)
            engine.kill()
            until(client, {"recovery": False, "database": True, "redis": True}, seconds=20)
        with worker("prices", environment), worker("default", environment) as default:
            back["engine again"] = until(client, ALL, seconds=30)
            counts = {"count": {"exits": 0, "entries": 0, "prices": 1, "default": 1}, "status": "degraded"}
            until(client, {"workers": counts}, seconds=20, path="/health", part="services")
            default.terminate()
            counts = {**counts, "count": {**counts["count"], "default": 0}}
            until(client, {"workers": counts}, seconds=30, path="/health", part="services")
            assert client.get("/api/v1/health/ready").status_code == 200

            # Valkey
            servers.processes["valkey"].send_signal(signal.SIGTERM)
            servers.processes["valkey"].wait(10)
            until(client, {"redis": False, "database": True, "migrations": True, "recovery": True}, seconds=5)
            assert client.get("/health").status_code == 200
            servers.start_valkey()
            back["valkey"] = until(client, ALL, seconds=BACK_SECONDS)
        with psycopg.connect(servers.database_url) as line:
            assert line.execute("SELECT count(*) FROM accounts_auditentry WHERE actor_kind = 'user'").fetchone() == (0,)

    with capsys.disabled():
        print("\nready again: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in back.items()))
    assert max(back["migrations"], back["valkey"]) < BACK_SECONDS
