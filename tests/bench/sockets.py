"""Live connections: 500 idle sockets of 100 principals, then 500 clients at 5 price updates a second on two web
processes.

`--scale` makes both longer or shorter: 1 is 20 s each, 30 are the ten minutes of the full proof.
"""

import json
import subprocess
import sys
import threading
from typing import Any

from nexgent.accounts import tokens as sessions
from prices import cache, services
from tests.bench import clients, fleet
from tests.bench.figures import ROOT, Report
from tests.bench.installation import free_port, pss_mb, running

PRINCIPALS, EACH = 100, 5
SECONDS = 20.0
UPDATE_SECONDS = 0.2


def run(report: Report, scale: float) -> None:
    seconds = max(3.0, SECONDS * scale)
    principals = PRINCIPALS if scale >= 0.3 else 20
    services.write_prices("off")
    mint = fleet.tokens(1)[0]
    people = [_person(mint) for _ in range(principals)]
    fleet.publish([mint])
    ports = [free_port(), free_port()]
    with running("web", port=ports[0]) as first, running("web", port=ports[1]):
        before = pss_mb(first.pid)
        idle = listen(_addresses(people, ports), seconds, None)
        _tell(report, "idle", idle)
        report.note_load()
        fast = listen(_addresses(people, ports), seconds, mint)
        _tell(report, "at 5 updates/s", fast)
        report.distribution("publish to frame at 5 updates/s", fast["ages"], p95="<= 100")
        frames = len(fast["ages"])
        report.tell("frames a second", frames / seconds, "/s")
        report.tell("memory of a web process that they cost", pss_mb(first.pid) - before, "MB")


def _person(mint: str) -> tuple[str, str]:
    """(agent, token) of a user whose one agent holds the token."""
    who = fleet.owner()
    agent = fleet.agents(who, 1)
    fleet.open_positions(agent, [mint], holders=1)
    return str(agent[0].id), sessions.open_session(who.user, remember_me=False, rotate=False).access


def _addresses(people: list[tuple[str, str]], ports: list[int]) -> list[list[str]]:
    return [
        [f"ws://127.0.0.1:{ports[place % len(ports)]}/ws?agentId={agent_id}", token]
        for agent_id, token in people
        for place in range(EACH)
    ]


def listen(sockets: list[list[str]], seconds: float, mint: str | None, every: float = UPDATE_SECONDS) -> dict[str, Any]:
    """Open the sockets from another process and publish a price of `mint` again and again; what they say in the end."""
    command = [sys.executable, "-m", "tests.bench.clients"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        json.dump({"sockets": sockets, "seconds": seconds}, process.stdin)
        process.stdin.close()
        process.stdout.readline()
        stop = threading.Event()
        publisher = threading.Thread(target=_publish, args=(stop, mint, every), daemon=True)
        publisher.start()
        found = json.loads(process.stdout.readline() or '{"opened": 0, "dropped": 0, "failed": ["ended"], "ages": []}')
        stop.set()
        publisher.join()
    return dict(found)


def _publish(stop: threading.Event, mint: str | None, every: float) -> None:
    while mint is not None and not stop.wait(every):
        cache.announce([fleet.tick(mint, clients.price_now())])


def _tell(report: Report, name: str, found: dict[str, Any]) -> None:
    report.tell(f"{name}: opened", found["opened"])
    report.tell(f"{name}: dropped", found["dropped"] + len(found["failed"]), "", "<= 0")
    for problem in found["failed"]:
        sys.stderr.write(f"{problem}\n")
