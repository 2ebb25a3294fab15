"""`manage.py up` and `manage.py demo`: everything on this machine, until Ctrl-C. Never asks on the terminal.

Loads no Django: it is there a second sooner, and stays small beside the processes it looks after. What needs Django,
migrations and the first administrator, runs as `manage.py prepare`, and only when the database does not stand as the
last such run left it.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from nexgent.runtime import environment
from nexgent.runtime.embedded import EmbeddedServers, die_with_parent
from nexgent.runtime.environment import PROJECT_DIR, Environment
from nexgent.runtime.supervisor import Supervisor, stdout_say

POSTGRES_VERSION_MIN = 150_000
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (where to reach what listens everywhere)


def main(command: str) -> None:
    """Run until told to stop; `command` is "up" or "demo". Ends with a sentence when it cannot start."""
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if command == "demo":
        os.environ["NEXGENT_DEMO"] = "1"
    settings = environment.load()
    # The processes take what was found out here, wherever this was started from.
    os.environ["NEXGENT_DATA_DIR"] = str(settings.nexgent_data_dir)
    os.chdir(PROJECT_DIR)
    with only_one(settings.nexgent_data_dir):
        check_port(settings.host, settings.port)
        stdout_say(f"Nexgent starts; data in {settings.nexgent_data_dir}")
        embedded = EmbeddedServers(settings.nexgent_data_dir)
        try:
            run(settings, embedded, begun)
        except KeyboardInterrupt:
            stdout_say("Interrupted while starting.")
        finally:
            embedded.stop()
    stdout_say("Nexgent has stopped.")


def run(settings: Environment, embedded: EmbeddedServers, begun: float) -> None:
    """Servers, database, processes; returns when all processes have stopped."""
    servers = []
    database_url = settings.database_url.get_secret_value()
    redis_url = settings.redis_url.get_secret_value()
    if not redis_url:
        redis_url = embedded.start_valkey()
        servers.append("valkey")
    if not database_url:
        database_url = embedded.start_postgres()
        servers.append("postgres")
    prepare_database(database_url, settings.nexgent_data_dir)
    reached = LOOPBACK.get(settings.host, settings.host)

    def tell_ready() -> None:
        host = f"[{reached}]" if ":" in reached else reached
        url = settings.public_url or f"http://{host}:{settings.port}/"
        stdout_say(f"Nexgent is ready: {url}  (after {time.monotonic() - begun:.1f} s; Ctrl-C stops it)")

    supervisor = Supervisor(
        servers=dict.fromkeys(servers, embedded),
        address=(reached, settings.port),
        redis_url=redis_url,
        say=stdout_say,
        is_labelled=settings.nexgent_env != "production",
    )
    asyncio.run(supervisor.run(tell_ready))


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """One `up` per data directory; the kernel gives the lock back however this process ends."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o711)
    lock = os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(lock, 20, 0).decode().strip() or "unknown"
        raise SystemExit(
            f"Nexgent already runs on the data directory {data_dir} (process {pid})."
            " Stop it first, or set NEXGENT_DATA_DIR and PORT for a second one."
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    try:
        yield
    finally:
        os.close(lock)


def check_port(host: str, port: int) -> None:
    """Ends with a sentence when the web process could not listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            raise SystemExit(f"Port {port} on {host} cannot be used ({problem.strerror}): set PORT.") from None


# --- The database ----------------------------------------------------------------------------------------------------


def prepare_database(url: str, data_dir: Path) -> None:
    """Migrations, the first administrator and, in a demo, its agents: by `manage.py prepare` unless all is there."""
    stamp = data_dir / "prepared"
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            version = connection.info.server_version
            if version < POSTGRES_VERSION_MIN:
                raise SystemExit(f"DATABASE_URL: PostgreSQL 15 or newer is needed, this is {version // 10_000}.")
            if not os.environ.get("NEXGENT_DEMO") and is_prepared(connection, stamp):
                return
            files = code_state()  # before: a migration added meanwhile was not applied
            prepare()
            stamp.write_text(state_of(connection, files))
    except psycopg.OperationalError as problem:
        raise SystemExit(f"DATABASE_URL: PostgreSQL does not answer: {problem}") from None


def is_prepared(connection: "psycopg.Connection[tuple[object, ...]]", stamp: Path) -> bool:
    """Whether code and database stand as the last preparation left them, an administrator included."""
    try:
        if not stamp.exists() or stamp.read_text() != state_of(connection):
            return False
        row = connection.execute("SELECT EXISTS (SELECT 1 FROM accounts_user WHERE is_superuser)").fetchone()
    except psycopg.errors.UndefinedTable:
        return False
    return bool(row and row[0])


def code_state() -> list[object]:
    """What of the code could make a migration necessary: our migrations and the locked packages."""
    ours = sorted(str(path.relative_to(PROJECT_DIR)) for path in migration_files(PROJECT_DIR))
    return [ours, (PROJECT_DIR / "requirements.lock").read_text()]


def state_of(connection: "psycopg.Connection[tuple[object, ...]]", code: list[object] | None = None) -> str:
    """A hash of the code's state and of the migrations that the database had."""
    applied = connection.execute("SELECT app, name FROM django_migrations ORDER BY app, name").fetchall()
    return hashlib.sha256(json.dumps([*(code or code_state()), applied]).encode()).hexdigest()


def migration_files(root: Path) -> Iterator[Path]:
    """The migrations of all our apps."""
    for pattern in ("*/migrations/*.py", "nexgent/*/migrations/*.py"):
        yield from (path for path in root.glob(pattern) if not path.parts[len(root.parts)].startswith("."))


def prepare(words: Sequence[str] = ("manage.py", "prepare")) -> None:
    """Run the preparation; its output is shown."""
    result = subprocess.run(
        [sys.executable, *words], cwd=PROJECT_DIR, check=False, preexec_fn=die_with_parent(signal.SIGTERM)
    )
    if result.returncode:
        raise SystemExit("The database could not be prepared; the lines above say why.")
