"""Real servers for tests, on loopback: an own Valkey, an own PostgreSQL, web processes on the test database."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

from nexgent.runtime.embedded import EmbeddedServers

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 30


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def _embedded(name: str) -> Iterator[EmbeddedServers]:
    with tempfile.TemporaryDirectory(prefix=f"nexgent-{name}-") as directory:
        Path(directory).chmod(0o711)
        servers = EmbeddedServers(Path(directory))
        try:
            yield servers
        finally:
            servers.stop()


@contextmanager
def own_valkey() -> Iterator[EmbeddedServers]:
    """A Valkey that a test may stop and start."""
    with _embedded("valkey") as servers:
        servers.start_valkey()
        yield servers


@contextmanager
def own_servers() -> Iterator[EmbeddedServers]:
    """A PostgreSQL without tables and a Valkey, both of which a test may stop and start."""
    with _embedded("servers") as servers:
        servers.start_postgres(durable=False)
        servers.start_valkey()
        yield servers


def database_url() -> str:
    """The address of the test database, for a process of its own."""
    base, _, query = os.environ["DATABASE_URL"].partition("?")
    return base.rpartition("/")[0] + "/" + connection.settings_dict["NAME"] + ("?" + query if query else "")


@dataclass
class WebServer:
    port: int
    process: subprocess.Popen[bytes]

    def url(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"


@contextmanager
def web_server(
    redis_url: str, *, program: str = "tests.streams.web_process", more: dict[str, str] | None = None, **limits: float
) -> Iterator[WebServer]:
    """A daphne process on loopback, on the test database; `limits` take the place of those of the sockets."""
    port = free_port()
    environment = {
        **os.environ,
        **{f"LIMIT_{name}": str(value) for name, value in limits.items()},
        "DATABASE_URL": database_url(),
        "REDIS_URL": redis_url,
        "NEXGENT_PROCESS": "web",
        **(more or {}),
        "DJANGO_SETTINGS_MODULE": "nexgent.settings",
    }
    process = subprocess.Popen([sys.executable, "-m", program, str(port)], cwd=ROOT, env=environment)
    try:
        _wait_for(port, process)
        yield WebServer(port, process)
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the web server did not start")
