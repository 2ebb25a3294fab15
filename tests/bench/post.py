"""A signal posted over HTTP to the real web process: how long until the 201, and until the trade it leads to is
committed (one agent, profile `ideal`, a real entries worker). One client on one connection, one signal at a time.
"""

import time
from uuid import UUID

import httpx
import psycopg
from django.conf import settings
from django.db import connection

from nexgent.ids import key_uuid
from tests.bench import fleet
from tests.bench.figures import Report
from tests.bench.installation import free_port, running, wait_until

WARM_UP = 40
POSTS = 400
_COMMITTED = "SELECT 1 FROM trading_order WHERE key = %s AND state = 3"


def run(report: Report, scale: float) -> None:
    posts = max(30, int(POSTS * scale))
    who = fleet.owner()
    agent = fleet.agents(who, 1)[0]
    mints = fleet.tokens(2 * (posts + WARM_UP))
    port = free_port()
    with (
        running("web", port=port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers={"X-API-Key": who.key}, timeout=15) as client,
    ):
        client.get("/health")
        created = [_posted(client, mint, f"A{n}")[0] for n, mint in enumerate(mints[: posts + WARM_UP])]
        report.distribution("POST to 201, alone", created[WARM_UP:], p50="<= 6.5", p95="<= 9")
        with running("entries"), psycopg.connect(settings.DATABASE_URL, autocommit=True) as watcher:
            wait_until(_all_answered, "the first signals are answered", seconds=120)
            report.note_load()
            pairs = []
            for number, mint in enumerate(mints[posts + WARM_UP :]):
                fleet.publish([mint])
                pairs.append(_committed(client, watcher, agent.id, mint, f"B{number}"))
            report.distribution(
                "POST to 201, beside the entries worker", [one for one, _ in pairs[WARM_UP:]], p50="<= 6.5", p95="<= 9"
            )
            report.distribution("POST to committed", [both for _, both in pairs[WARM_UP:]], p50="<= 14", p95="<= 25")


def _posted(client: httpx.Client, mint: str, kind: str) -> tuple[float, int]:
    """Milliseconds until the 201, and the signal's id."""
    body = {"tokenAddress": mint, "symbol": "BENCH", "signalType": kind, "signalStrength": 5}
    begun = time.perf_counter()
    answer = client.post("/trading-signals", json=body)
    took = (time.perf_counter() - begun) * 1000
    if answer.status_code != 201:
        raise RuntimeError(f"signal not accepted: {answer.status_code} {answer.text}")
    return took, int(answer.json()["id"])


def _committed(
    client: httpx.Client, watcher: psycopg.Connection, agent_id: UUID, mint: str, kind: str
) -> tuple[float, float]:
    """Milliseconds until the 201 and until somebody else sees the filled order."""
    begun = time.perf_counter()
    took, signal_id = _posted(client, mint, kind)
    key = key_uuid(f"entry:{agent_id}:{signal_id}")
    while watcher.execute(_COMMITTED, [key], prepare=True).fetchone() is None:
        if time.perf_counter() - begun > 10:
            raise RuntimeError(f"signal {signal_id} led to no trade")
        time.sleep(0.0005)
    return took, (time.perf_counter() - begun) * 1000


def _all_answered() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM signals_signal WHERE drained_at IS NULL")
        return int(cursor.fetchone()[0]) == 0
