"""The soak itself: population, load, and what every look at the system finds."""

import os
import random
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import redis
from django.conf import settings
from django.db import connection

from prices.feeds import synthetic
from tests.bench import fleet
from tests.bench.figures import say
from tests.bench.installation import children, free_port, private_mb, pss_mb, running, wait_until
from trading import books

LOOK_SECONDS = 60
SETTLE_SECONDS = 120
"""An order that never lands ends after a minute; its retries wait half a minute at most."""
QUEUE_MAX = 200
OLDEST_ORDER_SECONDS_MAX = 100.0
OLDEST_SIGNAL_SECONDS_MAX = 30.0
CONNECTIONS_MAX = 60
FLAT_AFTER_SECONDS, FLAT_PERCENT = 300, 5.0
QUEUES = ("exits", "entries", "prices", "default")
KINDS: tuple[dict[str, Any], ...] = tuple(
    kind | {"staleTrade": {"enabled": False}, "limits": {"maxOpenPositions": 25}}
    for kind in (
        {"stopLoss": {"mode": "fixed", "defaultPercentage": -10}},
        {"stopLoss": {"mode": "exponential", "defaultPercentage": -15}},
        {"takeProfit": {"enabled": True, "mode": "aggressive"}, "stopLoss": {"defaultPercentage": -20}},
        {"dca": {"enabled": True, "mode": "aggressive", "cooldownSeconds": 10}, "stopLoss": {"defaultPercentage": -40}},
    )
)
_STATE = """
SELECT (SELECT count(*) FROM trading_order WHERE state < 3),
       (SELECT coalesce(extract(epoch FROM now() - min(greatest(created_at, not_before))), 0)
        FROM trading_order WHERE state < 3),
       (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM signals_signal WHERE drained_at IS NULL),
       (SELECT count(*) FROM trading_position WHERE closed_at IS NULL),
       (SELECT count(*) FROM trading_fill),
       (SELECT count(*) FROM trading_order WHERE state = 4),
       (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'nexgent%')
"""


@dataclass(frozen=True, slots=True)
class Look:
    """The system at one moment."""

    at_seconds: float
    is_balanced: bool
    problems: tuple[str, ...]
    open_orders: int
    oldest_order_seconds: float
    oldest_signal_seconds: float
    open_positions: int
    fills: int
    failed: int
    connections: int
    queued: int
    subscriptions: int
    memory_mb: dict[str, float]


@dataclass
class Soak:
    """One run."""

    seconds: int
    agents: int
    tokens: int
    signals_per_second: float
    seed: int
    looks: list[Look] = field(default_factory=list)
    accepted: int = 0
    refused: int = 0

    def run(self) -> int:
        who = fleet.owner()
        fleet.agents(who, self.agents, profile="realistic", sol=10_000, kinds=KINDS)
        port = free_port()
        with ExitStack() as stack:
            self._valkey = stack.enter_context(redis.Redis.from_url(settings.REDIS_URL))
            market = stack.enter_context(running("prices", wrapper="tests.bench.worker"))
            named = {"prices": market.pid, "web": stack.enter_context(running("web", port=port)).pid}
            for name in ("exits", "entries", "default", "beat"):
                named[name] = stack.enter_context(running(name)).pid
            wait_until(self._is_priced, "the market has prices", seconds=120, every=0.2)
            self._load(who, port, named)
            if self.seconds >= LOOK_SECONDS:
                self._settle()
                self._look(named, self.seconds)
        return self._report()

    def _load(self, who: fleet.Owner, port: int, named: dict[str, int]) -> None:
        """Signals from a thread, looks from this one, until the time is over."""
        stop = threading.Event()
        client = threading.Thread(target=self._signals, args=(who, port, stop), daemon=True)
        begun = time.monotonic()
        client.start()
        every = min(LOOK_SECONDS, max(5, self.seconds / 4))
        while (passed := time.monotonic() - begun) < self.seconds:
            time.sleep(max(0.0, min(every - passed % every, self.seconds - passed)))
            self._look(named, time.monotonic() - begun)
        stop.set()
        client.join(20)

    def _signals(self, who: fleet.Owner, port: int, stop: threading.Event) -> None:
        chance, number = random.Random(self.seed), 0
        headers = {"X-API-Key": who.key}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers, timeout=15) as client:
            while not stop.wait(1 / self.signals_per_second):
                number += 1
                mint = synthetic.mint(self.seed, chance.randrange(self.tokens))
                body = {"tokenAddress": mint, "signalType": f"Soak {number}", "signalStrength": 5}
                answer = client.post("/trading-signals", json=body)
                self.accepted += answer.status_code == 201
                self.refused += answer.status_code != 201

    def _look(self, named: dict[str, int], at_seconds: float) -> None:
        checked = books.check()
        with connection.cursor() as cursor:
            cursor.execute(_STATE)
            orders, oldest, signal, positions, fills, failed, connections = cursor.fetchone()
        look = Look(
            at_seconds=at_seconds,
            is_balanced=checked.balanced,
            problems=tuple(f"{p.invariant} {p.subject} {p.detail}" for p in checked.problems[:3]),
            open_orders=orders,
            oldest_order_seconds=float(oldest),
            oldest_signal_seconds=float(signal),
            open_positions=positions,
            fills=fills,
            failed=failed,
            connections=connections,
            queued=sum(self._valkey.llen(queue) for queue in QUEUES),
            subscriptions=sum(client["sub"] != "0" for client in self._valkey.client_list()),
            memory_mb={name: private_mb(pid) for name, pid in named.items()} | self._servers_mb(),
        )
        self.looks.append(look)
        memory = " ".join(f"{name} {size:.0f}" for name, size in look.memory_mb.items())
        say(
            f"{at_seconds:5.0f} s: books {'balance' if look.is_balanced else 'DO NOT BALANCE'}, {look.fills} fills,"
            f" {look.failed} failed orders, {look.open_positions} positions, {look.open_orders} open orders"
            f" (oldest {look.oldest_order_seconds:.0f} s), oldest signal {look.oldest_signal_seconds:.1f} s,"
            f" queued {look.queued}, connections {look.connections}, subscriptions {look.subscriptions},"
            f" MB: {memory}, load {os.getloadavg()[0]:.1f}"
        )
        for problem in look.problems:
            say(f"        {problem}")

    def _servers_mb(self) -> dict[str, float]:
        """Memory of the scratch servers: children of the process that started this one."""
        sizes = {"postgres": 0.0, "valkey": 0.0}
        for pid, words in children(os.getppid()).items():
            name = next((name for name in sizes if any(name in word for word in words[:1])), None)
            if name is not None:
                sizes[name] += pss_mb(pid)
        return sizes

    def _is_priced(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM prices_latestprice WHERE observed_at > now() - interval '10 seconds'")
            return int(cursor.fetchone()[0]) >= self.tokens

    def _settle(self) -> None:
        """Every order of the time under load comes to its end, but for retries that wait for theirs."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT now()")
            until = cursor.fetchone()[0]
        wait_until(lambda: not _due_orders(until), "orders end", seconds=SETTLE_SECONDS, every=0.5)

    def _report(self) -> int:
        unbalanced = sum(not look.is_balanced for look in self.looks)
        queued = max(look.queued for look in self.looks)
        oldest = max(look.oldest_order_seconds for look in self.looks)
        waited = max(look.oldest_signal_seconds for look in self.looks)
        connections = max(look.connections for look in self.looks)
        growth = self._growth()
        is_long = self.seconds >= 2 * FLAT_AFTER_SECONDS
        wrong = {
            "books": unbalanced > 0,
            "queues": queued > QUEUE_MAX or oldest > OLDEST_ORDER_SECONDS_MAX or waited > OLDEST_SIGNAL_SECONDS_MAX,
            "connections": connections > CONNECTIONS_MAX,
            "subscriptions": is_long and self.looks[-1].subscriptions > self.looks[0].subscriptions,
            "memory": is_long and max(growth.values()) >= FLAT_PERCENT,
            "trades": self.looks[-1].fills == 0 or self.refused > 0,
        }
        if growth:
            say("growth after minute 5: " + ", ".join(f"{name} {percent:+.1f} %" for name, percent in growth.items()))
        say(
            f"soak: seconds={self.seconds} agents={self.agents} tokens={self.tokens} seed={self.seed}"
            f" signals={self.accepted} refused={self.refused} fills={self.looks[-1].fills}"
            f" failed={self.looks[-1].failed} looks={len(self.looks)} unbalanced={unbalanced} queued_max={queued}"
            f" oldest_order_s_max={oldest:.0f} oldest_signal_s_max={waited:.1f} connections_max={connections}"
            f" growth_percent_max={max(growth.values(), default=0.0):.1f}"
            f" missed={','.join(name for name, is_wrong in wrong.items() if is_wrong) or '-'}"
        )
        return int(any(wrong.values()))

    def _growth(self) -> dict[str, float]:
        """By how many per cent the memory of each process rose from minute 5 to the last look under load.

        Private memory: the part of shared pages that falls to a process rises when a neighbour ends. The servers are
        told beside it: PostgreSQL fills its cache with a growing database.
        """
        late = [look for look in self.looks if look.at_seconds >= FLAT_AFTER_SECONDS]
        if len(late) < 2:
            return {}
        first, last = late[0].memory_mb, late[-1].memory_mb
        ours = [name for name in first if name not in ("postgres", "valkey") and first[name]]
        return {name: 100 * (last[name] / first[name] - 1) for name in ours}


def _due_orders(until: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM trading_order WHERE state < 3 AND created_at < %s"
            " AND (not_before IS NULL OR not_before <= now())",
            [until],
        )
        return int(cursor.fetchone()[0])
