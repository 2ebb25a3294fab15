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
from tests.bench import damage, fleet, judging
from tests.bench.figures import say
from tests.bench.installation import children, free_port, private_mb, pss_mb, running, wait_until
from tests.bench.judging import LOOK_SECONDS, Look
from trading import books

SETTLE_SECONDS = 120
"""An order that never lands ends after a minute; its retries wait half a minute at most."""
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


@dataclass
class Soak:
    """One run."""

    seconds: int
    agents: int
    tokens: int
    signals_per_second: float
    seed: int
    is_control: bool = False
    looks: list[Look] = field(default_factory=list)
    accepted: int = 0
    refused: int = 0

    def run(self) -> int:
        who = fleet.owner()
        fleet.agents(who, self.agents, profile="realistic", sol=10_000, kinds=KINDS)
        port = free_port()
        with ExitStack() as stack:
            self._valkey = stack.enter_context(redis.Redis.from_url(settings.REDIS_URL))
            leaks = {"SOAK_CONTROL_SECONDS": str(self.seconds)} if self.is_control else {}
            market = stack.enter_context(running("prices", wrapper="tests.bench.worker", **leaks))
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
        is_damage_due = self.is_control
        while (passed := time.monotonic() - begun) < self.seconds:
            time.sleep(max(0.0, min(every - passed % every, self.seconds - passed)))
            self._look(named, time.monotonic() - begun)
            if is_damage_due and time.monotonic() - begun >= self.seconds / 3:
                damage.falsify_a_posting()
                is_damage_due = False
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
                try:
                    is_taken = client.post("/trading-signals", json=body).status_code == 201
                except httpx.HTTPError:  # no answer is no 201: it counts, and the next signal is sent all the same
                    is_taken = False
                self.accepted += is_taken
                self.refused += not is_taken

    def _look(self, named: dict[str, int], at_seconds: float) -> None:
        checked = books.check()
        with connection.cursor() as cursor:
            cursor.execute(_STATE)
            orders, oldest, signal, positions, fills, failed, connections = cursor.fetchone()
        clients = self._valkey.client_list()
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
            clients=len(clients),
            queued=sum(self._valkey.llen(queue) for queue in self._valkey.scan_iter(count=1_000, _type="list")),
            subscriptions=sum(int(client["sub"]) + int(client["psub"]) for client in clients),
            memory_mb={name: private_mb(pid) for name, pid in named.items()} | self._servers_mb(),
        )
        self.looks.append(look)
        memory = " ".join(f"{name} {size:.0f}" for name, size in look.memory_mb.items())
        say(
            f"{at_seconds:5.0f} s: books {'balance' if look.is_balanced else 'DO NOT BALANCE'}, {look.fills} fills,"
            f" {look.failed} failed orders, {look.open_positions} positions, {look.open_orders} open orders"
            f" (oldest {look.oldest_order_seconds:.0f} s), oldest signal {look.oldest_signal_seconds:.1f} s,"
            f" queued {look.queued}, connections {look.connections}, of Valkey {look.clients},"
            f" subscriptions {look.subscriptions}, MB: {memory}, load {os.getloadavg()[0]:.1f}"
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
        growth = judging.growth(self.looks)
        missed = judging.missed(self.looks, seconds=self.seconds, refused=self.refused)
        if growth:
            say("growth after minute 5: " + ", ".join(f"{name} {percent:+.1f} %" for name, percent in growth.items()))
        overlooked = judging.overlooked(missed, seconds=self.seconds) if self.is_control else []
        say(
            f"soak: seconds={self.seconds} agents={self.agents} tokens={self.tokens} seed={self.seed}"
            f" signals={self.accepted} refused={self.refused} fills={self.looks[-1].fills}"
            f" failed={self.looks[-1].failed} looks={len(self.looks)}"
            f" unbalanced={sum(not look.is_balanced for look in self.looks)}"
            f" queued_max={max(look.queued for look in self.looks)}"
            f" oldest_order_s_max={max(look.oldest_order_seconds for look in self.looks):.0f}"
            f" oldest_signal_s_max={max(look.oldest_signal_seconds for look in self.looks):.1f}"
            f" connections_max={max(look.connections for look in self.looks)}"
            f" growth_percent_max={max(growth.values(), default=0.0):.1f}"
            + (f" overlooked={','.join(overlooked) or '-'}" if self.is_control else "")
            + f" missed={','.join(missed) or '-'}"
        )
        return 2 if overlooked else int(bool(missed))


def _due_orders(until: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM trading_order WHERE state < 3 AND created_at < %s"
            " AND (not_before IS NULL OR not_before <= now())",
            [until],
        )
        return int(cursor.fetchone()[0])
