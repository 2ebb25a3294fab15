"""The sending side of one client: texts go out at once while it keeps up, else a queue of events and the newest prices.

Nobody waits for a client: whoever delivers puts text here and goes on. Events keep their order and none is left out;
of prices a slow client keeps only the newest. A client that is 64 kB or 10 s behind is closed (1013, try again later).
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from uuid import UUID

from nexgent.events import limits
from nexgent.events.transport import Wire


class Outlet:
    """Where texts for one accepted client go. All methods belong to the event loop's thread."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._events: deque[str] = deque()
        self._bytes = 0
        self._prices: dict[UUID, str] = {}
        self._free = asyncio.Event()
        self._free.set()
        self._behind_since = 0.0
        self.ended = asyncio.Event()
        """Set when this side closed the connection."""
        self.wants_prices = True
        self.is_open = True
        wire.watch(on_pause=self._pause, on_resume=self._resume)

    def push(self, text: str) -> None:
        """Send an event or answer behind all others."""
        if not self.is_open:
            return
        if self._free.is_set():
            self._wire.write(text)
            return
        self._events.append(text)
        self._bytes += len(text)
        if self._bytes > limits.BEHIND_BYTES and self.behind_seconds() > limits.BURST_SECONDS:
            self._give_up()

    def price(self, agent_id: UUID, text: str) -> None:
        """Send an agent's newest price frame, or put it in the place of one that was not taken yet."""
        if not self.is_open or not self.wants_prices:
            return
        if self._free.is_set():
            self._wire.write(text)
        else:
            self._prices[agent_id] = text

    async def push_all(self, texts: Iterable[str]) -> None:
        """Send many events at the client's pace; returns early when the connection closes.

        Each text is taken when its turn comes, so that it may tell what was sent before it.
        """
        for text in texts:
            self.push(text)
            await asyncio.sleep(0)
            if not self._free.is_set():
                await self._free.wait()
            if not self.is_open:
                return

    def behind_seconds(self) -> float:
        """For how long the client has not taken what it was sent; 0 when it keeps up."""
        return 0.0 if self._free.is_set() else time.monotonic() - self._behind_since

    def check(self) -> None:
        """Close a client that is ten seconds behind; called each second."""
        if self.is_open and self.behind_seconds() > limits.BEHIND_SECONDS:
            self._give_up()

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close. A second call changes nothing."""
        if not self.is_open:
            return
        while self._events:
            self._wire.write(self._events.popleft())
        self.stop()
        self._wire.close(code=code, reason=reason)
        self.ended.set()

    def stop(self) -> None:
        """The client is gone: send nothing more."""
        self.is_open = False
        self._events.clear()
        self._prices.clear()
        self._free.set()

    def _give_up(self) -> None:
        self._events.clear()
        self.close(1013, "Too slow")

    def _pause(self) -> None:
        if self.is_open and self._free.is_set():
            self._free.clear()
            self._behind_since = time.monotonic()

    def _resume(self) -> None:
        self._free.set()
        while self._free.is_set() and self.is_open and (self._events or self._prices):
            self._wire.write(self._next())

    def _next(self) -> str:
        if self._events:
            text = self._events.popleft()
            self._bytes -= len(text)
            return text
        return self._prices.pop(next(iter(self._prices)))
