"""A client that is cut again and again in the middle of a stream sees every number once: sockets and streams."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from nexgent.runtime.embedded import EmbeddedServers
from tests.servers import WebServer, web_server
from tests.streams.sockets import Someone, do, happen, large, open_socket, receive, someone
from tests.streams.sse_client import listen

pytestmark = pytest.mark.django_db(transaction=True)
CUTS = 50
Next = Callable[[], Awaitable[int]]
"""The number of the next event."""


@pytest.fixture(scope="module")
def limits() -> dict[str, float]:
    return {"REPLAY_MAX": 100_000}


@pytest.fixture(scope="module")
def servers(server: WebServer, valkey: EmbeddedServers, limits: dict[str, float]) -> Iterator[list[WebServer]]:
    with web_server(valkey.redis_url, **limits) as second:
        yield [server, second]


@asynccontextmanager
async def socket(server: WebServer, who: Someone, since: int) -> AsyncIterator[Next]:
    path = f"/ws?agentId={who.agent.id}&since={since}"
    client = await open_socket(server, path, subprotocols=["bearer", who.token])

    async def number() -> int:
        while True:
            message = await receive(client)
            if "seq" in message:
                assert message["type"] != "initial_data"
                return int(message["seq"])

    yield number
    client.transport.abort()


@asynccontextmanager
async def stream(server: WebServer, who: Someone, since: int) -> AsyncIterator[Next]:
    path = f"/api/v1/stream/portfolio?agentId={who.agent.id}"
    opened = await listen(server.port, path, token=who.token, place=str(since))

    async def number() -> int:
        message = await opened.event()
        assert message.event != "snapshot"
        return int(message.place)

    yield number
    opened.cut()


@pytest.mark.parametrize("connect", [socket, stream])
async def test_fifty_cuts_leave_no_gap_and_no_double(servers: list[WebServer], connect) -> None:  # type: ignore[no-untyped-def]
    # given a writer that does not stop: one event or a burst of up to forty
    who, chance, is_over = await do(someone), random.Random(50), asyncio.Event()

    async def write() -> int:
        written = 0
        while not is_over.is_set():
            count = chance.choice((1, 1, 1, 5, 40))
            await do(large, who.agent.id, count, chance.choice((10, 2_000)))
            written += count
            await asyncio.sleep(chance.uniform(0, 0.01))
        await do(happen, who.agent.id)
        return written + 1

    writing = asyncio.create_task(write())
    # when a client on one or the other process is cut fifty times, each time after some events
    seen: list[int] = []
    for cut in range(CUTS):
        async with connect(servers[cut % 2], who, seen[-1] if seen else 0) as number:
            seen += [await number() for _ in range(chance.randint(1, 60))]
    is_over.set()
    last = await writing
    async with connect(servers[0], who, seen[-1]) as number:
        while seen[-1] < last:
            seen.append(await number())
    # then
    assert len(seen) > 500
    assert seen == list(range(1, last + 1))
