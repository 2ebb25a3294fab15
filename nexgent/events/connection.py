"""One open connection: whose it is, what it follows, and the checks of each second."""

import asyncio
import time
from collections import deque
from uuid import UUID

import orjson
from django.db import Error as DatabaseError

from nexgent import clock
from nexgent.errors import Refusal
from nexgent.events import auth, limits, registry
from nexgent.events.auth import Credential
from nexgent.events.outlet import Outlet
from nexgent.events.records import message, sse
from nexgent.events.streams import Follower
from nexgent.events.threads import in_thread
from nexgent.ids import uuid7


class Connection:
    """A client of this process: the socket of a page, and what the other kinds have in common."""

    is_exclusive = False
    """Whether it is the reference's token socket, of which an agent has one."""

    def __init__(self, outlet: Outlet, credential: Credential, *, agent_ids: tuple[UUID, ...] = ()) -> None:
        self.id = uuid7()
        self.outlet = outlet
        self.credential = credential
        self.user_id = credential.user_id
        self.agent_ids = agent_ids
        """Agents that it asked for and must go on being allowed to see."""
        self.followers: list[Follower] = []
        self.heard_at = self.beaten_at = time.monotonic()
        self._recheck_at = self.heard_at + limits.RECHECK_SECONDS
        self._recheck: asyncio.Task[None] | None = None
        self._messages: deque[float] = deque()

    def end(self, reason: str, *, code: str = "") -> None:
        """Tell why, with the code of REST if there is one, then close as the reference does on a bad credential."""
        self.outlet.push(self.told({"message": reason, "code": code} if code else {"message": reason}))
        self.outlet.close(1008, reason)

    def told(self, why: dict[str, str]) -> str:
        """The last message, which says why."""
        return message("error", why)

    def heard(self) -> None:
        """The client answered or asked: it is alive."""
        self.heard_at = time.monotonic()
        self.outlet.wants_prices = True

    def is_flood(self) -> bool:
        """Count a message of the client; whether they are too many."""
        now = time.monotonic()
        self._messages.append(now)
        while self._messages[0] <= now - limits.BUDGET_SECONDS:
            self._messages.popleft()
        return len(self._messages) > limits.MESSAGES_PER_SECOND * limits.BUDGET_SECONDS

    def check(self) -> None:
        """Called each second: pings, slow clients, expired or revoked credentials."""
        now = time.monotonic()
        self.outlet.check()
        self.beat(now)
        expires_at = self.credential.expires_at
        if expires_at is not None and clock.now() >= expires_at:
            self.end("Token expired")
        elif now >= self._recheck_at and self._recheck is None:
            self._recheck = asyncio.create_task(self._ask_again())

    def beat(self, now: float) -> None:
        """What this kind says to a client that is otherwise quiet."""

    async def _ask_again(self) -> None:
        try:
            principal = await in_thread(self.credential.again)
            auth.admit(principal)
            for agent_id in self.agent_ids:
                if not await in_thread(registry.agent_visible, principal, agent_id):
                    self.end("Agent not found")
        except Refusal as refusal:
            if refusal.code == "PASSWORD_CHANGE_REQUIRED":
                self.end(refusal.message, code=refusal.code)
            else:
                self.end("Signed out")
        except DatabaseError:
            pass  # asked again in a minute: an outage ends nobody's connection
        finally:
            self._recheck = None
            self._recheck_at = time.monotonic() + limits.RECHECK_SECONDS


class AgentConnection(Connection):
    """A socket of one agent, with the reference's JSON pings."""

    def __init__(self, outlet: Outlet, credential: Credential, *, agent_id: UUID | None) -> None:
        super().__init__(outlet, credential, agent_ids=() if agent_id is None else (agent_id,))
        self.agent_id = agent_id
        self.is_exclusive = credential.way == "token"

    def beat(self, now: float) -> None:
        silent = now - self.heard_at
        if silent > limits.SILENT_PINGS * limits.PING_SECONDS:
            self.outlet.close(1000, "Connection timeout")
        elif now - self.beaten_at >= limits.PING_SECONDS:
            self.beaten_at = now
            self.outlet.push(message("ping"))
        elif self.beaten_at > self.heard_at and now - self.beaten_at > limits.PONG_SECONDS:
            self.outlet.wants_prices = False


class StreamConnection(Connection):
    """A stream of server-sent events; a comment now and then keeps proxies from ending it."""

    def told(self, why: dict[str, str]) -> str:
        return sse("error", orjson.dumps(why).decode())

    def beat(self, now: float) -> None:
        if now - self.beaten_at >= limits.HEARTBEAT_SECONDS:
            self.beaten_at = now
            self.outlet.push(": heartbeat\n\n")
