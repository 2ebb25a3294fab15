"""Each dependency away in turn under a real web process: readiness names it, and is green within 10 s of its return.

PostgreSQL itself is in `test_outage_postgres.py`.
"""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import psycopg
import pytest

from nexgent.runtime.embedded import die_with_parent
from tests.outages.readiness import asked, migrate, until
from tests.servers import ROOT

BACK_SECONDS = 10.0
ALL = {"database": True, "migrations": True, "redis": True, "recovery": True}

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_each_dependency_that_is_away_is_named_and_its_return_is_seen(servers, addresses, capsys):
    environment = {**os.environ, **addresses}
    migrate(addresses, "signals", "0003")
    back = {}
    with asked(addresses) as client:
        # migrations missing
        until(client, {"database": True, "migrations": False, "redis": True, "recovery": False}, seconds=20)
        migrate(addresses)
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
