"""Clients that open a socket or a stream and do not read, while events and prices go on: each is let go when it is ten
seconds behind, comes back, and does not read again. They cost the process little, and nobody else notices.
"""

import argparse
import asyncio
import socket
import threading
import time
from uuid import UUID

from nexgent import clock
from nexgent.events import services as events
from prices import cache
from tests.bench import clients, fleet, sockets
from tests.bench.clients import Socket
from tests.bench.figures import Report
from tests.bench.installation import free_port, pss_mb, running

PRINCIPALS = 3
MEMORY_MB_MAX = 50
SETTLE_SECONDS = 8.0
STALL_SECONDS = 30.0
EVERY_SECONDS, EVENTS, EVENT_BYTES = 0.2, 5, 10_000
_SMALL = 4_096
_STREAM = """GET /api/v1/stream/portfolio?agentId={agent} HTTP/1.1
Host: 127.0.0.1
Authorization: Bearer {token}

"""
_SOCKET = """GET /ws?agentId={agent} HTTP/1.1
Host: 127.0.0.1
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==
Sec-WebSocket-Protocol: bearer, {token}

"""


def run(report: Report, wanted: argparse.Namespace) -> None:
    mint, people = sockets.audience(PRINCIPALS)
    port = free_port()
    with running("web", port=port) as web:
        found = asyncio.run(_watch(port, web.pid, people, mint, wanted.clients, wanted.seconds))
    report.tell("clients that do not read", wanted.clients)
    report.tell("for seconds", wanted.seconds, "s")
    report.tell("times one was let go", found["let go"])
    report.tell("memory they added", found["memory"], "MB", f"<= {MEMORY_MB_MAX}")
    report.tell("others dropped", found["dropped"], "", "<= 0")
    report.distribution("publish to frame at the others", found["ages"])


async def _watch(
    port: int, pid: int, people: list[tuple[str, str]], mint: str, count: int, seconds: float
) -> dict[str, object]:
    ages: list[float] = []
    stop = threading.Event()
    writer = threading.Thread(target=_write, args=(stop, [UUID(agent_id) for agent_id, _ in people], mint), daemon=True)
    readers = [await Socket.open(f"ws://127.0.0.1:{port}/ws?agentId={agent}", token, ages) for agent, token in people]
    writer.start()
    await asyncio.sleep(SETTLE_SECONDS)
    before, most, begun = pss_mb(pid), 0.0, time.monotonic()
    let_go = [0]
    stalled = [asyncio.create_task(_stall(port, *people[n % PRINCIPALS], let_go, n)) for n in range(count)]
    while time.monotonic() - begun < seconds:
        await asyncio.sleep(1)
        most = max(most, pss_mb(pid))
    for task in stalled:
        task.cancel()
    await asyncio.gather(*stalled, return_exceptions=True)
    stop.set()
    writer.join()
    dropped = sum(reader.ended.done() for reader in readers)
    return {"memory": most - before, "let go": let_go[0], "dropped": dropped, "ages": ages}


async def _stall(port: int, agent_id: str, token: str, let_go: list[int], number: int) -> None:
    """Open, stop reading, look after a while whether it was let go, come back."""
    while True:
        bare = socket.socket()
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
        bare.setblocking(False)
        await asyncio.get_running_loop().sock_connect(bare, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=bare, limit=_SMALL)
        lines = [f"Host: 127.0.0.1:{port}"]
        if number % 2:
            lines = [
                f"GET /api/v1/stream/portfolio?agentId={agent_id} HTTP/1.1",
                *lines,
                f"Authorization: Bearer {token}",
            ]
        else:
            upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
            key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
            offered = f"Sec-WebSocket-Protocol: {clients.BEARER}, {token}"
            lines = [f"GET /ws?agentId={agent_id} HTTP/1.1", *lines, upgrade, key, offered]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        try:
            await asyncio.sleep(STALL_SECONDS)
            let_go[0] += await _is_let_go(reader, writer)
        finally:
            writer.transport.abort()


async def _is_let_go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Read what lies there: whether the server ended it."""
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    try:
        async with asyncio.timeout(2):
            while await reader.read(65_536):
                await asyncio.sleep(0)
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def _write(stop: threading.Event, agent_ids: list[UUID], mint: str) -> None:
    payload = {"text": "x" * EVENT_BYTES}
    while not stop.wait(EVERY_SECONDS):
        now = clock.now()
        events.append(
            [events.NewEvent(agent_id, "note", payload, now) for agent_id in agent_ids for _ in range(EVENTS)]
        )
        cache.announce([fleet.tick(mint, clients.price_now())])
