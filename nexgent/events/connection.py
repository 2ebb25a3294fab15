"""One open socket: whose it is, what it follows, and the checks of each second."""

import asyncio
import time
from uuid import UUID

from django.db import Error as DatabaseError

from nexgent import clock
from nexgent.errors import Refusal
from nexgent.events import limits, registry
from nexgent.events.auth import Credential
from nexgent.events.outlet import Outlet
from nexgent.events.records import message
from nexgent.events.streams import Follower
from nexgent.events.threads import in_thread
from nexgent.ids import uuid7


class Connection:
    """`is_exclusive` marks the reference's token socket, of which an agent has one; `has_pings` its JSON pings."""

    def __init__(
        self, outlet: Outlet, credential: Credential, *, agent_id: UUID | None, is_exclusive: bool, has_pings: bool
    ) -> None:
        self.id = uuid7()
        self.outlet = outlet
        self.credential = credential
        self.user_id = credential.user_id
        self.agent_id = agent_id
        self.is_exclusive = is_exclusive
        self.has_pings = has_pings
        self.followers: list[Follower] = []
        now = time.monotonic()
        self._heard_at = self._pinged_at = now
        self._recheck_at = now + limits.RECHECK_SECONDS
        self._recheck: asyncio.Task[None] | None = None

    def heard(self) -> None:
        """The client answered or asked: it is alive."""
        self._heard_at = time.monotonic()
        self.outlet.wants_prices = True

    def end(self, reason: str) -> None:
        """Tell why, then close as the reference does when a credential is not good."""
        self.outlet.push(message("error", {"message": reason}))
        self.outlet.close(1008, reason)

    def check(self) -> None:
        """Called each second: pings, slow clients, expired or revoked credentials."""
        now = time.monotonic()
        self.outlet.check()
        if self.has_pings:
            self._check_pings(now)
        expires_at = self.credential.expires_at
        if expires_at is not None and clock.now() >= expires_at:
            self.end("Token expired")
        elif now >= self._recheck_at and self._recheck is None:
            self._recheck = asyncio.create_task(self._ask_again())

    def _check_pings(self, now: float) -> None:
        silent = now - self._heard_at
        if silent > limits.SILENT_PINGS * limits.PING_SECONDS:
            self.outlet.close(1000, "Connection timeout")
        elif now - self._pinged_at >= limits.PING_SECONDS:
            self._pinged_at = now
            self.outlet.push(message("ping"))
        elif self._pinged_at > self._heard_at and now - self._pinged_at > limits.PONG_SECONDS:
            self.outlet.wants_prices = False

    async def _ask_again(self) -> None:
        try:
            principal = await in_thread(self.credential.again)
            if self.agent_id is not None and not await in_thread(registry.agent_visible, principal, self.agent_id):
                self.end("Agent not found")
        except Refusal:
            self.end("Signed out")
        except DatabaseError:
            pass  # asked again in a minute: an outage ends nobody's connection
        finally:
            self._recheck = None
            self._recheck_at = time.monotonic() + limits.RECHECK_SECONDS
