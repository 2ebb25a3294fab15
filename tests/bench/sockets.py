"""Live connections at work: 500 clients at 5 price updates a second on two web processes.

`sockets_many` and `sockets_idle` are the same with other numbers. `--scale` makes a run longer or shorter.
"""

import contextlib
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
    principals = PRINCIPALS if scale >= 0.3 else 20
    at_work(report, principals=principals, processes=2, seconds=max(3.0, SECONDS * scale), p95="<= 100")


def at_work(report: Report, *, principals: int, processes: int, seconds: float, p95: str = "") -> None:
    """`EACH` clients per principal, spread over web processes, all of whom hold one token whose price moves."""
    mint, people = audience(principals)
    with contextlib.ExitStack() as stack:
        ports = [free_port() for _ in range(processes)]
        web = [stack.enter_context(running("web", port=port)) for port in ports]
        before = pss_mb(web[0].pid)
        found = listen(addresses(people, ports), seconds, mint)
        told(report, "clients", found)
        report.distribution("publish to frame", found["ages"], **({"p95": p95} if p95 else {}))
        report.tell("frames a second", len(found["ages"]) / seconds, "/s")
        report.tell("opened a second", found["opened"] / found["seconds"], "/s")
        report.tell("memory of a web process that they cost", pss_mb(web[0].pid) - before, "MB")


def audience(principals: int) -> tuple[str, list[tuple[str, str]]]:
    """A token, and (agent, access token) of users whose one agent holds it."""
    services.write_prices("off")
    mint = fleet.tokens(1)[0]
    people = [person(mint) for _ in range(principals)]
    fleet.publish([mint])
    return mint, people


def person(mint: str) -> tuple[str, str]:
    """(agent, access token) of a user whose one agent holds the token."""
    who = fleet.owner()
    agent = fleet.agents(who, 1)
    fleet.open_positions(agent, [mint], holders=1)
    return str(agent[0].id), sessions.open_session(who.user, remember_me=False, rotate=False).access


def addresses(people: list[tuple[str, str]], ports: list[int], each: int = EACH) -> list[list[str]]:
    """[url, token] of so many sockets per person, spread over the ports."""
    return [
        [f"ws://127.0.0.1:{ports[place % len(ports)]}/ws?agentId={agent_id}", token]
        for agent_id, token in people
        for place in range(each)
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
        nothing = '{"opened": 0, "seconds": 1, "dropped": 0, "failed": ["ended"], "ages": []}'
        found = json.loads(process.stdout.readline() or nothing)
        stop.set()
        publisher.join()
    return dict(found, wanted=len(sockets))


def _publish(stop: threading.Event, mint: str | None, every: float) -> None:
    while mint is not None and not stop.wait(every):
        cache.announce([fleet.tick(mint, clients.price_now())])


def told(report: Report, name: str, found: dict[str, Any]) -> None:
    report.tell(f"{name}: opened", found["opened"])
    report.tell(f"{name}: dropped", found["dropped"] + found["wanted"] - found["opened"], "", "<= 0")
    for problem in found["failed"]:
        sys.stderr.write(f"{problem}\n")
    report.note_load()
