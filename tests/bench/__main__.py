"""`python -m tests.bench [NAME...]`: the benchmarks, each on fresh servers of its own whose commits wait for the disk.

`--list` names them. Each prints its distributions beside the targets and one line of figures; those lines come once
more at the end. Exit 1 when a target was missed and the machine was quiet enough to say so, `--told` never.
"""

import argparse
import os
import subprocess
import sys
import time

from tests.bench.figures import QUIET_LOAD, ROOT, exit_code, machine, say

BENCHES = {
    "post": "command",
    "fanout": "entries",
    "price_pass": "prices",
    "exit_orders": "prices",
    "tick_to_socket": "prices",
    "restart_watch": "prices",
    "ledger": "entries",
    "sockets": "prices",
    "sockets_many": "prices",
    "sockets_idle": "prices",
    "idle_memory": "",
}
"""Each with the process whose connection pool it has; "" starts the product itself and needs no servers."""
QUIET_WAIT_SECONDS = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all without")
    parser.add_argument("--list", action="store_true", help="name them and end")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the runs: 0.1 is a quick look")
    parser.add_argument("--wait", type=int, default=0, help="wait at most so many seconds for a quiet machine")
    parser.add_argument("--told", action="store_true", help="exit 0 even when a target was missed")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.list:
        say("\n".join(BENCHES))
        return 0
    if unknown := set(wanted.names) - BENCHES.keys():
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    if wanted.inside:
        return _inside(wanted.names[0], wanted.scale)
    say(machine())
    lines = [_outside(name, wanted.scale, wanted.wait) for name in wanted.names or BENCHES]
    say("\n" + "\n".join(lines))
    return exit_code(lines, is_told=wanted.told)


def _outside(name: str, scale: float, wait_seconds: int) -> str:
    """Run one benchmark in a process and on servers of its own; its line of figures."""
    end = time.monotonic() + wait_seconds
    while os.getloadavg()[0] > QUIET_LOAD / 2 and time.monotonic() < end:
        time.sleep(QUIET_WAIT_SECONDS)
    command = [sys.executable, "-m", "tests.bench", name, "--inside", "--scale", str(scale)]
    if BENCHES[name]:
        command = [sys.executable, "-m", "nexgent.runtime.scratch", "--durable", *command]
    last = f"{name}: missed=it_did_not_run"
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=_clean()) as process:
        assert process.stdout is not None
        for line in process.stdout:
            say(line.rstrip())
            if line.startswith(f"{name}: "):
                last = line.rstrip()
    return last


def _clean() -> dict[str, str]:
    ours = ("DATABASE_URL", "REDIS_URL", "NEXGENT_", "DJANGO_", "PYTEST")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _inside(name: str, scale: float) -> int:
    """In the scratch system: the clock of the machine, the pool of the process that is measured."""
    os.environ.pop("NEXGENT_CLOCK", None)
    if BENCHES[name]:
        os.environ |= {"NEXGENT_PROCESS": BENCHES[name], "LOG_LEVEL": "WARNING", "PRICES_WRITER": "inline"}
        import django

        django.setup()
    from importlib import import_module

    from tests.bench.figures import Report

    report = Report(name)
    import_module(f"tests.bench.{name}").run(report, scale)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
