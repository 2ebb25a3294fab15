"""The sending side of one socket: a queue of events, the newest prices, and one task that writes.

Nobody waits for a client: whoever delivers puts text here and goes on. Events keep their order and none is left out;
of prices a slow client keeps only the newest. A client that is 64 kB or 10 s behind is closed (1013, try again later).
"""

import asyncio
import time
from collections import deque
from uuid import UUID

from nexgent.events import limits, transport
from nexgent.events.transport import Send


class Outlet:
    """Where texts for one accepted socket go. All methods belong to the event loop's thread."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._events: deque[str] = deque()
        self._bytes = 0
        self._prices: dict[UUID, str] = {}
        self._ready = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._behind_since: float | None = None
        self._closing: tuple[int, str] | None = None
        self.wants_prices = True
        self.is_open = True
        transport.watch_pressure(send, on_pause=self._pause, on_resume=self._resume)
        self._task = asyncio.create_task(self._write())

    def push(self, text: str) -> None:
        """Queue an event or answer behind all others."""
        if not self.is_open:
            return
        self._events.append(text)
        self._bytes += len(text)
        self._ready.set()
        if self._bytes > limits.BEHIND_BYTES and self.behind_seconds() > limits.BURST_SECONDS:
            self._give_up()

    def price(self, agent_id: UUID, text: str) -> None:
        """Put the newest price frame of an agent in the place of one that was not taken yet."""
        if self.is_open and self.wants_prices:
            self._prices[agent_id] = text
            self._ready.set()

    async def push_all(self, texts: list[str]) -> None:
        """Queue many events at the client's pace; returns early when the socket closes."""
        for text in texts:
            if not self._free.is_set():
                await self._free.wait()
            if not self.is_open:
                return
            self.push(text)
            await asyncio.sleep(0)

    def behind_seconds(self) -> float:
        """For how long the client has not taken what it was sent; 0 when it keeps up."""
        return 0.0 if self._behind_since is None else time.monotonic() - self._behind_since

    def check(self) -> None:
        """Close a client that is ten seconds behind; called each second."""
        if self.is_open and self.behind_seconds() > limits.BEHIND_SECONDS:
            self._give_up()

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close. A second call changes nothing."""
        if self.is_open:
            self.is_open = False
            self._closing = (code, reason)
            self._prices.clear()
            self._ready.set()
            self._free.set()

    def stop(self) -> None:
        """The client is gone: write nothing more."""
        self.is_open = False
        self._free.set()
        self._task.cancel()

    async def closed(self) -> None:
        """Wait until the close frame is on its way (or the client is gone)."""
        await asyncio.wait([self._task], timeout=2)

    def _give_up(self) -> None:
        self._events.clear()
        self.close(1013, "Too slow")
        # What the client has not taken blocks every later write: the close must not wait for it.
        self._free.set()

    def _pause(self) -> None:
        self._free.clear()
        self._behind_since = self._behind_since or time.monotonic()

    def _resume(self) -> None:
        self._behind_since = None
        self._free.set()

    def _next(self) -> str | None:
        if self._events:
            text = self._events.popleft()
            self._bytes -= len(text)
            return text
        if self._prices:
            return self._prices.pop(next(iter(self._prices)))
        return None

    async def _write(self) -> None:
        while True:
            await self._ready.wait()
            await self._free.wait()
            text = self._next()
            if text is None:
                self._ready.clear()
                if self._closing is not None:
                    code, reason = self._closing
                    await transport.close(self._send, code=code, reason=reason)
                    return
                continue
            self._behind_since = self._behind_since or time.monotonic()
            await self._send({"type": "websocket.send", "text": text})
            if self._free.is_set():
                self._behind_since = None
