"""Metrics that Valkey knows: processes and sockets, queues and their oldest message, counters of all processes."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import redis
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from nexgent.runtime import counters, middleware, presence
from nexgent.runtime.health import QUEUES
from nexgent.runtime.processes import COMMANDS

_UNACKED = "unacked"
"""Where Celery's transport keeps what a worker took and has not finished."""


def valkey() -> Iterator[Metric]:
    """Everything, over one connection."""
    client = presence.client()
    try:
        yield from processes(client)
        yield from queues(client)
        yield from totals(client)
    finally:
        client.close()


def processes(client: redis.Redis) -> Iterator[Metric]:
    """Processes that are alive, their memory, the web's sockets and streams."""
    alive = presence.alive(client)
    number = GaugeMetricFamily("nexgent_processes", "Processes that are alive.", labels=["process"])
    memory = GaugeMetricFamily("nexgent_resident_bytes", "Memory of all processes of a kind.", labels=["process"])
    for kind in COMMANDS:
        found = alive.get(kind, [])
        number.add_metric([kind], len(found))
        memory.add_metric([kind], sum(process.get("memory", 0) for process in found))
    web = alive.get("web", [])
    sockets, streams = (sum(int(process.get(name, 0)) for process in web) for name in ("sockets", "sse"))
    yield from (number, memory, GaugeMetricFamily("nexgent_sockets", "Open WebSockets.", value=sockets))
    yield GaugeMetricFamily("nexgent_sse_streams", "Open streams of server-sent events.", value=streams)
    about: dict[str, Any] = client.info()  # type: ignore[assignment]
    yield GaugeMetricFamily("nexgent_valkey_clients", "Connections to Valkey.", value=about["connected_clients"])
    yield GaugeMetricFamily("nexgent_valkey_bytes", "Memory that Valkey uses.", value=about["used_memory"])


def queues(client: redis.Redis) -> Iterator[Metric]:
    """Messages that wait, and for how long. A message is a bell: the work itself is in the tables."""
    depth = GaugeMetricFamily("nexgent_queue_messages", "Messages that wait in a queue.", labels=["queue"])
    oldest = GaugeMetricFamily("nexgent_queue_oldest_seconds", "Age of the oldest message.", labels=["queue"])
    with client.pipeline(transaction=False) as pipe:
        for queue in QUEUES:
            pipe.llen(queue)
            pipe.lindex(queue, -1)
        pipe.hlen(_UNACKED)
        *answers, taken = pipe.execute()
    for queue, length, last in zip(QUEUES, answers[::2], answers[1::2], strict=True):
        depth.add_metric([queue], length)
        sent = json.loads(last).get("headers", {}).get("sentAt") if last else None
        oldest.add_metric([queue], max(0.0, time.time() - sent) if sent else 0)
    yield from (depth, oldest)
    yield GaugeMetricFamily("nexgent_queue_taken", "Messages that workers took and have not finished.", value=taken)


def totals(client: redis.Redis) -> Iterator[Metric]:
    """What the processes counted: requests and their latency, bells, repeated work."""
    requests = CounterMetricFamily("nexgent_http_requests", "Requests answered.", labels=["method", "route", "status"])
    bells = CounterMetricFamily("nexgent_bells", "Bells by what became of them.", labels=["outcome"])
    repeats = CounterMetricFamily("nexgent_repeats", "Units of work run again.", labels=["cause"])
    plain = {middleware.REQUESTS: requests, "bells": bells, "repeats": repeats}
    buckets: dict[str, dict[str, int]] = defaultdict(dict)
    sums: dict[str, int] = {}
    for (name, *labels), total in counters.read(client):
        if name in plain:
            plain[name].add_metric(labels, total)
        elif name == middleware.BUCKETS:
            buckets[labels[0]][labels[1]] = total
        elif name == middleware.SUM:
            sums[labels[0]] = total
    yield from (requests, bells, repeats, _latency(buckets, sums))


def _latency(buckets: dict[str, dict[str, int]], sums: dict[str, int]) -> Metric:
    family = HistogramMetricFamily("nexgent_http_seconds", "Seconds until the answer began.", labels=["route"])
    for route, found in buckets.items():
        upto, lines = 0, []
        for bound in middleware.LATENCIES_MS:
            upto += found.get(str(bound), 0)
            lines.append((f"{bound / 1000:g}", upto))
        lines.append(("+Inf", upto + found.get("", 0)))
        family.add_metric([route], lines, sum_value=sums.get(route, 0) / 1_000_000)
    return family


PARTS: dict[str, Callable[[], Iterable[Metric]]] = {"valkey": valkey}
