"""500 idle sockets of 100 principals on two web processes for ten minutes (`--scale 0.1`: one): none is dropped."""

from tests.bench import sockets
from tests.bench.figures import Report
from tests.bench.installation import free_port, pss_mb, running

SECONDS = 600.0


def run(report: Report, scale: float) -> None:
    seconds = max(5.0, SECONDS * scale)
    _, people = sockets.audience(sockets.PRINCIPALS if scale >= 0.1 else 20)
    ports = [free_port(), free_port()]
    with running("web", port=ports[0]) as first, running("web", port=ports[1]):
        before = pss_mb(first.pid)
        found = sockets.listen(sockets.addresses(people, ports), seconds, None)
        sockets.told(report, "idle", found)
        report.tell("idle seconds", seconds, "s")
        report.tell("memory of a web process that they cost", pss_mb(first.pid) - before, "MB")
