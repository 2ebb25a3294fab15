"""Many WebSocket clients in one process of their own: `python -m tests.bench.clients` reads a JSON list of [url, token]
from standard input, opens them all, and says when each price arrived.

The frames are taken apart by hand: a library's client costs more per frame than the server that is measured, on the
same processors. A price of this bench tells when it was published: its digits are the time of the monotonic clock,
which all processes of a machine share.
"""

import asyncio
import base64
import json
import os
import resource
import sys
import time
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

BEARER = "bearer"
"""The subprotocol before the token, as `nexgent.events.auth` knows it; this process loads nothing of the product."""
STAMP = Decimal("1e-12")
OPENING_AT_ONCE = 25
OPENING_SECONDS = 120.0
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


def price_now() -> Decimal:
    """A price that says when it was made, in tens of microseconds."""
    return Decimal(int(time.monotonic() * 100_000)) * STAMP


def age_ms(price: str | float) -> float:
    """Milliseconds since a price was made."""
    return (time.monotonic() - int(Decimal(str(price)) / STAMP) / 100_000) * 1000


def raise_file_limit() -> None:
    """As many open files as this user may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Socket(asyncio.Protocol):
    """One client. `opened` is done with the snapshot, `ended` tells close code or what else ended it."""

    def __init__(self, ages: list[float]) -> None:
        loop = asyncio.get_running_loop()
        self.ages = ages
        self.opened: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[str] = loop.create_future()
        self.is_upgraded = False
        self._data = b""

    @classmethod
    async def open(cls, url: str, token: str, ages: list[float]) -> "Socket":
        """Connect, upgrade, and wait for the snapshot. Raises ConnectionError or TimeoutError."""
        parts = urlsplit(url)
        _, self = await asyncio.get_running_loop().create_connection(lambda: cls(ages), parts.hostname, parts.port)
        lines = [
            f"GET {parts.path}?{parts.query} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            *([f"Sec-WebSocket-Protocol: {BEARER}, {token}"] if token else []),
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode())
        try:
            await asyncio.wait_for(self.opened, OPENING_SECONDS)
        except BaseException:
            self.transport.abort()  # whoever no longer waits is gone
            raise
        return self

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self.is_upgraded:
            head, found, rest = self._data.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head[:20]:
                self._end(head[:40].decode(errors="replace"))
                return
            self.is_upgraded, self._data = True, rest
        at = 0
        while (frame := _frame(self._data, at)) is not None:
            kind, payload, at = frame
            self._hear(kind, payload)
        self._data = self._data[at:]

    def _hear(self, kind: int, payload: bytes) -> None:
        if kind == _PING:
            self.send(payload, kind=_PONG)
        elif kind == _CLOSE:
            self._end(f"closed {int.from_bytes(payload[:2], 'big')} {payload[2:].decode(errors='replace')}")
        elif payload.startswith(b'{"type":"price_update_batch"'):
            begin = payload.index(b'"price":') + 8
            self.ages.append(age_ms(float(payload[begin : payload.index(b",", begin)])))
        elif payload.startswith(b'{"type":"ping"'):
            self.send(b'{"type":"pong"}')
        elif payload.startswith(b'{"type":"initial_data"') and not self.opened.done():
            self.opened.set_result(None)

    def send(self, payload: bytes, *, kind: int = _TEXT) -> None:
        """A short frame, masked with zeros: nobody in between has to be protected here."""
        self.transport.write(bytes((0x80 | kind, 0x80 | len(payload), 0, 0, 0, 0)) + payload)

    def connection_lost(self, problem: Exception | None) -> None:
        self._end(f"lost {problem!r}")

    def _end(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(why)
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(why))
            self.opened.exception()  # seen: nobody may be waiting any more
        self.transport.close()


def _frame(data: bytes, at: int) -> tuple[int, bytes, int] | None:
    """Kind, payload and end of the frame at `at`; None when it is not all there."""
    if len(data) < at + 2:
        return None
    size, begin = data[at + 1], at + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        if len(data) < begin + width:
            return None
        size, begin = int.from_bytes(data[begin : begin + width], "big"), begin + width
    end = begin + size
    return None if len(data) < end else (data[at] & 15, data[begin:end], end)


async def listen(wanted: list[list[str]], seconds: float) -> dict[str, Any]:
    """Open all, say so, listen so long; what was heard."""
    ages: list[float] = []
    gate, sockets, failed = asyncio.Semaphore(OPENING_AT_ONCE), [], []

    async def one(url: str, token: str) -> None:
        async with gate:
            try:
                sockets.append(await Socket.open(url, token, ages))
            except (OSError, TimeoutError) as problem:
                failed.append(repr(problem))

    begun = time.monotonic()
    await asyncio.gather(*(one(url, token) for url, token in wanted))
    took = time.monotonic() - begun
    sys.stdout.write(f"opened {len(sockets)}\n")
    sys.stdout.flush()
    ages.clear()
    await asyncio.sleep(seconds)
    ended = [one.ended.result() for one in sockets if one.ended.done()]
    found = {"opened": len(sockets), "seconds": took, "dropped": len(ended), "failed": [*failed, *ended][:3]}
    return {**found, "ages": list(ages)}


def main() -> None:
    raise_file_limit()
    wanted = json.load(sys.stdin)
    found = asyncio.run(listen(wanted["sockets"], wanted["seconds"]))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
