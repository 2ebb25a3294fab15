"""The embedded servers themselves: long paths, the application's role, what an interrupted start leaves."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from nexgent.runtime.embedded import SOCKET_PATH_MAX, EmbeddedServers


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that PostgreSQL's user may enter (pytest's own are closed to others)."""
    with tempfile.TemporaryDirectory(prefix="nexgent-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def start(directory):
    """Makes servers that are stopped afterwards."""
    made: list[EmbeddedServers] = []

    def make(name: str) -> EmbeddedServers:
        made.append(EmbeddedServers(directory / name))
        return made[-1]

    yield make
    for servers in made:
        servers.stop()


def test_a_path_longer_than_a_socket_address_works_and_stays_below_it(start):
    servers = start("/".join("long-name-" * 4 for _ in range(4)))
    assert len(str(servers.data_dir)) > 108 > SOCKET_PATH_MAX

    with psycopg.connect(servers.start_postgres()) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("nexgent",)
    client = redis.Redis.from_url(servers.start_valkey())
    assert client.ping() is True
    client.close()

    short = {servers.postgres_run, servers.valkey_run}
    assert {path.stat().st_mode & 0o777 for path in short} == {0o700}
    servers.stop()
    assert [path for path in short if path.exists()] == []


def test_the_application_is_no_superuser_and_its_password_opens_no_other_door(start):
    servers = start("data")

    with psycopg.connect(servers.start_postgres()) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        naptime = connection.execute("SHOW autovacuum_naptime").fetchone()
        listens = connection.execute("SHOW listen_addresses").fetchone()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(servers.database_url.replace("nexgent:", "postgres:", 1))

    assert row == (False, False, False)
    assert (naptime, listens) == (("5s",), ("",))
    assert {file.stat().st_mode & 0o777 for file in servers.data_dir.glob("*.password")} == {0o600}
    assert servers.postgres_dir.stat().st_mode & 0o777 == 0o700


def test_a_first_start_that_was_interrupted_is_begun_anew(start):
    servers = start("data")
    draft = servers.postgres_dir / "data.draft"
    servers.start_postgres()
    servers.stop()
    (servers.postgres_dir / "data").rename(draft)  # what initdb leaves when it is killed

    with psycopg.connect(servers.start_postgres()) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("nexgent",)

    assert not draft.exists()


def test_data_outlives_a_kill_and_a_pid_file_of_somebody_else_is_no_obstacle(start):
    servers = start("data")
    with psycopg.connect(servers.start_postgres()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(servers.processes["postgres"].pid, signal.SIGKILL)
    servers.processes["postgres"].wait()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        pid_file = servers.postgres_dir / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")

        with psycopg.connect(servers.start_postgres()) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        stranger.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as somebody else")
def test_a_data_directory_that_the_servers_user_cannot_enter_is_refused_with_a_sentence(directory):
    closed = directory / "closed"
    closed.mkdir(mode=0o700)

    with pytest.raises(SystemExit, match=r"who cannot enter .*closed.*: set NEXGENT_DATA_DIR"):
        EmbeddedServers(closed / "data").start_postgres()

    assert closed.stat().st_mode & 0o777 == 0o700
