"""Clients of the socket and stream tests: a signed-in person with an agent, what happens to it, what a client reads."""

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import connection
from django.utils.module_loading import import_string
from websockets.asyncio.client import ClientConnection, connect

from agents.models import Agent
from nexgent.accounts import tokens
from nexgent.accounts.models import Membership, User, Workspace
from nexgent.events.services import NewEvent, append
from tests.servers import WebServer

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


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


def sign_in(who: Someone) -> str:
    """A session of a browser; returns what its cookie says."""
    store = import_string(f"{settings.SESSION_ENGINE}.SessionStore")()
    store[SESSION_KEY] = str(who.user.pk)
    store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    store[HASH_SESSION_KEY] = who.user.get_session_auth_hash()
    store.create()
    return str(store.session_key)


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
