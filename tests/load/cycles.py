"""Clients that come and go: sockets by token and by subprotocol, streams; some say good-bye, some are cut, some are cut
while they open. Afterwards the process knows none of them, and its memory has not grown.
"""

import argparse
import asyncio
import contextlib
import random
import time
from typing import Any

import redis
from django.conf import settings

from nexgent.events.channels import CONTROL, EVENTS, PRICES
from nexgent.runtime import presence
from tests.bench import sockets
from tests.bench.clients import Socket
from tests.bench.figures import Report
from tests.bench.installation import free_port, pss_mb, running, wait_until

PRINCIPALS, AT_ONCE = 100, 10
GROWTH_MB_MAX = 10
WARM_UP_SHARE = 0.25
"""From cycle 500 of 2,000 on memory counts."""
CLOSE_FRAME = b"\x03\xe8"


def run(report: Report, wanted: argparse.Namespace) -> None:
    principals = min(PRINCIPALS, max(5, wanted.cycles // 20))
    _, people = sockets.audience(principals)
    port = free_port()
    with running("web", port=port) as web:
        begun = time.monotonic()
        chance, warm = random.Random(wanted.seed), int(wanted.cycles * WARM_UP_SHARE)
        asyncio.run(_cycles(port, people, chance, 0, warm))
        before = pss_mb(web.pid)
        asyncio.run(_cycles(port, people, chance, warm, wanted.cycles))
        took = time.monotonic() - begun
        left = _left()
        growth = pss_mb(web.pid) - before
    report.tell("cycles", wanted.cycles)
    report.tell("cycles a second", wanted.cycles / took, "/s")
    for name in ("connections", "streams", "seats", "sockets"):
        report.tell(f"{name} left", left[name], "", "<= 0")
    report.tell("subscriptions of the process", left["subscriptions"], "", "<= 3")
    report.tell("memory growth after the first quarter", growth, "MB", f"<= {GROWTH_MB_MAX}")


async def _cycles(port: int, people: list[tuple[str, str]], chance: random.Random, begin: int, end: int) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, way: str, ending: str) -> None:
        async with gate:
            await _cycle(port, *people[number % len(people)], way, ending)

    plans = [
        (number, chance.choice(("token", "bearer", "stream")), chance.choice(("close", "cut", "cut early")))
        for number in range(begin, end)
    ]
    await asyncio.gather(*(one(*plan) for plan in plans))


async def _cycle(port: int, agent_id: str, token: str, way: str, ending: str) -> None:
    if way == "stream":
        await _stream(port, agent_id, token, ending)
        return
    url = f"ws://127.0.0.1:{port}/ws?agentId={agent_id}" + (f"&token={token}" if way == "token" else "")
    if ending == "cut early":
        opening = asyncio.create_task(Socket.open(url, "" if way == "token" else token, []))
        await asyncio.sleep(0.01)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        return
    try:
        client = await Socket.open(url, "" if way == "token" else token, [])
    except ConnectionError:
        return  # an agent has one token socket: the next client of the same agent was faster
    if ending == "close":
        client.send(CLOSE_FRAME, kind=8)
        await asyncio.wait([client.ended], timeout=5)
    client.transport.abort()


async def _stream(port: int, agent_id: str, token: str, ending: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = f"/api/v1/stream/portfolio?agentId={agent_id}"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    if ending != "cut early":
        await asyncio.wait_for(reader.readuntil(b"event: snapshot"), 30)
    if ending == "close":
        writer.close()
    else:
        writer.transport.abort()


def _left() -> dict[str, Any]:
    """What the process still knows when all clients are gone, as it says itself; waits until it is nothing, or 20 s."""
    facts: dict[str, Any] = {}
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:

        def is_empty() -> bool:
            facts.update(presence.alive(valkey)["web"][0])
            return not any(facts[name] for name in ("connections", "streams", "seats", "sockets"))

        with contextlib.suppress(TimeoutError):  # the figures say it
            wait_until(is_empty, "nobody is left", seconds=20, every=0.5)
        facts["subscriptions"] = sum(count for _, count in valkey.pubsub_numsub(EVENTS, PRICES, CONTROL))
        facts["seats"] = max(facts["seats"], len(list(valkey.scan_iter(match="nexgent:seats:*"))))
    return facts
