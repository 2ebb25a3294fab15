"""Many WebSocket clients in one process of their own: `python -m tests.bench.clients` reads a JSON list of [url, token]
from standard input, opens them all, and says when each price arrived.

A price of this bench tells when it was published: its digits are the milliseconds of the monotonic clock, which all
processes of a machine share.
"""

import asyncio
import json
import sys
import time
from decimal import Decimal
from typing import Any

import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

BEARER = "bearer"
"""The subprotocol before the token, as `nexgent.events.auth` knows it; this process loads nothing of the product."""
STAMP = Decimal("1e-12")
OPENING_AT_ONCE = 25


def price_now() -> Decimal:
    """A price that says when it was made, in tens of microseconds."""
    return Decimal(int(time.monotonic() * 100_000)) * STAMP


def age_ms(price: str | float) -> float:
    """Milliseconds since a price was made."""
    return (time.monotonic() - int(Decimal(str(price)) / STAMP) / 100_000) * 1000


class Clients:
    """The sockets of one process, and what they heard."""

    def __init__(self) -> None:
        self.ages: list[float] = []
        self.opened = self.dropped = 0
        self.is_over = False
        self._gate = asyncio.Semaphore(OPENING_AT_ONCE)

    async def one(self, url: str, token: str) -> None:
        async with self._gate:
            client = await connect(url, subprotocols=[BEARER, token], proxy=None, open_timeout=30, ping_interval=None)
            while orjson.loads(await client.recv())["type"] != "initial_data":
                continue
            self.opened += 1
        try:
            async for text in client:
                await self._hear(client, text)
        except ConnectionClosed:
            pass
        self.dropped += not self.is_over

    async def _hear(self, client: Any, text: str | bytes) -> None:
        said = orjson.loads(text)
        if said["type"] == "ping":
            await client.send(json.dumps({"type": "pong"}))
        elif said["type"] == "price_update_batch":
            self.ages.append(age_ms(said["data"]["updates"][0]["price"]))

    async def run(self, wanted: list[list[str]], seconds: float) -> dict[str, Any]:
        tasks = [asyncio.create_task(self.one(*each)) for each in wanted]
        while self.opened < len(wanted) and not any(task.done() for task in tasks):
            await asyncio.sleep(0.05)
        sys.stdout.write(f"opened {self.opened}\n")
        sys.stdout.flush()
        self.ages.clear()
        await asyncio.sleep(seconds)
        self.is_over = True
        failed = [repr(task.exception()) for task in tasks if task.done() and task.exception()]
        for task in tasks:
            task.cancel()
        return {"opened": self.opened, "dropped": self.dropped, "failed": failed[:3], "ages": self.ages}


def main() -> None:
    wanted = json.load(sys.stdin)
    found = asyncio.run(Clients().run(wanted["sockets"], wanted["seconds"]))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
