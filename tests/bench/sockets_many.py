"""2,000 clients of 400 principals at 5 price updates a second on four web processes."""

from tests.bench import sockets
from tests.bench.figures import Report

PRINCIPALS, PROCESSES = 400, 4


def run(report: Report, scale: float) -> None:
    principals = max(20, round(PRINCIPALS * min(1.0, scale)))
    seconds = max(3.0, sockets.SECONDS * scale)
    sockets.at_work(report, principals=principals, processes=PROCESSES, seconds=seconds)
