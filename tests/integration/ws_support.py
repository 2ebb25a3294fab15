"""Support of the socket tests: a web server process, an own Valkey, a user with an agent, and a client."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from django.db import connection
from websockets.asyncio.client import ClientConnection, connect

from agents.models import Agent
from nexgent.accounts import tokens
from nexgent.accounts.models import Membership, User, Workspace
from nexgent.events.services import NewEvent, append
from nexgent.runtime.embedded import EmbeddedServers

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class WebServer:
    port: int
    process: subprocess.Popen[bytes]

    def url(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def own_valkey() -> Iterator[EmbeddedServers]:
    """A Valkey that a test may stop and start."""
    with tempfile.TemporaryDirectory(prefix="nexgent-ws-") as directory:
        Path(directory).chmod(0o711)
        servers = EmbeddedServers(Path(directory))
        servers.start_valkey()
        try:
            yield servers
        finally:
            servers.stop()


@contextmanager
def web_server(redis_url: str, *, more: dict[str, str] | None = None, **limits: float) -> Iterator[WebServer]:
    """A daphne process on loopback, on the test database."""
    port = free_port()
    base, _, name = os.environ["DATABASE_URL"].partition("?")
    address = base.rpartition("/")[0] + "/" + connection.settings_dict["NAME"] + ("?" + name if name else "")
    environment = {
        **os.environ,
        **{f"LIMIT_{name}": str(value) for name, value in limits.items()},
        "DATABASE_URL": address,
        "REDIS_URL": redis_url,
        "NEXGENT_PROCESS": "web",
        **(more or {}),
        "DJANGO_SETTINGS_MODULE": "nexgent.settings",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.ws_server", str(port)], cwd=ROOT, env=environment
    )
    try:
        _wait_for(port, process)
        yield WebServer(port, process)
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the web server did not start")


@dataclass(frozen=True)
class Someone:
    """A signed-in user with one agent."""

    user: User
    agent: Agent
    token: str

    def path(self, **more: Any) -> str:
        words = {"token": self.token, "agentId": str(self.agent.id), **more}
        return "/ws?" + "&".join(f"{name}={quote(str(value))}" for name, value in words.items())


def someone() -> Someone:
    user = User.objects.create_user(f"{uuid.uuid4().hex}@example.org")
    workspace = Workspace.objects.create(name="Own")
    Membership.objects.create(workspace=workspace, user=user)
    agent = Agent.objects.create(workspace=workspace, user=user, name="One", created_at=AT, updated_at=AT)
    return Someone(user, agent, tokens.open_session(user, remember_me=False, rotate=False).access)


def happen(stream_id: uuid.UUID, *, count: int = 1, kind: str = "note", **payload: Any) -> None:
    """Commit `count` events one after the other."""
    for _ in range(count):
        append([NewEvent(stream_id, kind, payload, AT)])


def large(stream_id: uuid.UUID, count: int, size: int) -> None:
    """Commit `count` events of `size` characters at once."""
    append([NewEvent(stream_id, "note", {"text": "x" * size}, AT) for _ in range(count)])


async def do(work: Any, *args: Any, **kwargs: Any) -> Any:
    """Run database work of a test beside its event loop, on a connection of its own."""

    def run() -> Any:
        try:
            return work(*args, **kwargs)
        finally:
            connection.close()

    return await asyncio.to_thread(run)


async def receive(client: ClientConnection, *, timeout: float = 3) -> dict[str, Any]:
    return orjson.loads(await asyncio.wait_for(client.recv(), timeout))


async def opened(client: ClientConnection) -> dict[str, Any]:
    """Read up to and including `initial_data`, which is returned."""
    first = await receive(client)
    assert first["type"] == "connected"
    second = await receive(client)
    assert second["type"] == "initial_data"
    return second


async def closed(client: ClientConnection, *, timeout: float = 5) -> tuple[int | None, str | None]:
    """Code and reason with which the server closes."""
    await asyncio.wait_for(client.wait_closed(), timeout)
    return client.close_code, client.close_reason


def open_socket(server: WebServer, path: str, **options: Any) -> Any:
    return connect(server.url(path), proxy=None, **options)
