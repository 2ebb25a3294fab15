"""What a list costs: 100 transactions and the list of agents, alone and at 16 connections, beside `GET /auth/me`, the
same server's endpoint that authenticates and does nothing else.
"""

import argparse
import asyncio
import time
from itertools import count
from uuid import UUID

from nexgent import clock
from nexgent.accounts import services as accounts
from nexgent.accounts import tokens
from tests.bench import fleet
from tests.bench.figures import Report
from tests.bench.installation import free_port, running
from wallets import services as wallets

TRANSACTIONS, AGENTS, CONNECTIONS = 120, 5, 16
WARM_UP = 60
ROUNDS = 5


def run(report: Report, wanted: argparse.Namespace) -> None:
    agent_id, headers = _somebody()
    paths = {
        "empty": "/api/v1/auth/me",
        "transactions": f"/api/v1/agent-transactions?agentId={agent_id}&limit=100",
        "agents": "/api/v1/agents",
    }
    port = free_port()
    with running("web", port=port):
        for path in paths.values():
            asyncio.run(_many(port, path, headers, connections=4, requests=WARM_UP))
        alone = {name: asyncio.run(_alone(port, path, headers, wanted.requests)) for name, path in paths.items()}
        rates: dict[str, list[float]] = {name: [] for name in paths}
        for _ in range(ROUNDS):  # in turns, so that whoever else uses the machine slows all of them
            for name, path in paths.items():
                each = max(CONNECTIONS, wanted.requests // ROUNDS)
                rates[name].append(asyncio.run(_many(port, path, headers, connections=CONNECTIONS, requests=each)))
    best = {name: sorted(each)[len(each) // 2] for name, each in rates.items()}
    report.distribution("empty endpoint alone", alone["empty"])
    report.distribution("100 transactions alone", alone["transactions"], p50="<= 6")
    report.distribution("agents alone", alone["agents"], p50="<= 4")
    for name, rate in best.items():
        report.tell(f"{name} at {CONNECTIONS} connections", rate, "/s")
    report.tell("transactions of the empty rate", 100 * best["transactions"] / best["empty"], "%", ">= 45")
    report.tell("agents of the empty rate", 100 * best["agents"] / best["empty"], "%", ">= 60")


def _somebody() -> tuple[UUID, str]:
    """An owner with agents, one with many transactions; the request headers that say so."""
    who = fleet.owner()
    made = fleet.agents(who, AGENTS)
    wallet_id = fleet.Assignment.objects.values_list("wallet_id", flat=True).get(agent=made[0])
    for number in range(TRANSACTIONS):
        wallets.deposit(wallet_id=wallet_id, lamports=10**9 + number, author="load", at=clock.now())
    assert accounts.has_administrator() is False
    token = tokens.open_session(who.user, remember_me=False, rotate=False).access
    return made[0].id, f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"


class _Line:
    """One kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        self.reader, self.writer, self.request = reader, writer, request

    @classmethod
    async def open(cls, port: int, path: str, headers: str) -> "_Line":
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
        return cls(reader, writer, f"GET {path} HTTP/1.1\r\n{headers}\r\n".encode())

    async def get(self) -> float:
        """Milliseconds of one request. Raises RuntimeError for anything but 200."""
        begun = time.perf_counter()
        self.writer.write(self.request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(head.decode())
        if b"transfer-encoding: chunked" in head:
            while await self.reader.readuntil(b"\r\n") != b"0\r\n":
                await self.reader.readuntil(b"\r\n")
            await self.reader.readexactly(2)
        else:
            await self.reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
        return (time.perf_counter() - begun) * 1000


async def _alone(port: int, path: str, headers: str, requests: int) -> list[float]:
    line = await _Line.open(port, path, headers)
    return [await line.get() for _ in range(requests)]


async def _many(port: int, path: str, headers: str, *, connections: int, requests: int) -> float:
    """Requests a second over so many connections."""
    lines = [await _Line.open(port, path, headers) for _ in range(connections)]
    left = count()
    begun = time.perf_counter()

    async def work(line: _Line) -> None:
        while next(left) < requests:
            await line.get()

    await asyncio.gather(*(work(line) for line in lines))
    return requests / (time.perf_counter() - begun)
