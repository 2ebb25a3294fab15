"""Memory of the whole product as `manage.py up` starts it, with nothing to do: PSS, per process."""

import os
import time
from collections import Counter

from tests.bench.figures import Report
from tests.bench.installation import children, pss_mb
from tests.e2e.system import running

SETTLE_SECONDS = 20.0


def run(report: Report, scale: float) -> None:
    with running():
        time.sleep(max(3.0, SETTLE_SECONDS * scale))
        memory: Counter[str] = Counter()
        counts: Counter[str] = Counter()
        for pid, words in children(os.getpid()).items():
            memory[name_of(words)] += pss_mb(pid)
            counts[name_of(words)] += 1
    for name, size in memory.most_common():
        report.tell(f"{name} ({counts[name]})" if counts[name] > 1 else name, size, "MB")
    report.tell("all", sum(memory.values()), "MB")


def name_of(words: list[str]) -> str:
    """What a command line is."""
    text = " ".join(words)
    if "valkey" in text or "redis-server" in text:
        return "valkey"
    if "postgres" in text:
        return "postgres"
    if "-Q" in words:
        return words[words.index("-Q") + 1]
    return next((name for name in ("beat", "web", "up") if name in words), words[0] if words else "gone")
