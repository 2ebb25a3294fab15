"""Workers of the product on the test's database, one process each."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import IO
from uuid import uuid4

from django.conf import settings

from nexgent.runtime.embedded import die_with_parent
from tests.servers import ROOT, database_url

START_SECONDS = 40
SAID_MAX = 4000
"""So many characters of what a worker said last stand beside a failure."""


def until(what: Callable[[], bool], *, seconds: float) -> float:
    """Wait until `what` is true; returns how long it took."""
    begun = time.monotonic()
    while not what():
        assert time.monotonic() - begun < seconds, "not in time"
        time.sleep(0.02)
    return time.monotonic() - begun


@contextmanager
def workers(
    *queues: str, more: dict[str, str], controls: tuple[str, ...] = ()
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """One worker per queue, all of them ready; killed at the end. `controls` are guards to take away."""
    with ExitStack() as ends:
        started = [ends.enter_context(_started(queue, more, controls)) for queue in queues]
        for _, said in started:
            until(partial(_is_ready, said), seconds=START_SECONDS)
        yield [process for process, _ in started]


def _is_ready(said: IO[bytes]) -> bool:
    return b" ready." in os.pread(said.fileno(), 1 << 20, 0)


@contextmanager
def _started(
    queue: str, more: dict[str, str], controls: tuple[str, ...]
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    environment = os.environ | {
        "NEXGENT_ENV": "development",
        "DATABASE_URL": database_url(),
        "REDIS_URL": settings.REDIS_URL,
        "NEXGENT_PROCESS": queue,
        "INDEPENDENCE_CONTROL": " ".join(controls),
        **more,
    }
    name = f"{queue}-{uuid4().hex[:6]}@test"
    words = ["-A", "nexgent", "worker", "-Q", queue, "-P", "threads", "-c", "4", "-n", name]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.independence.worker", *words],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=said,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        try:
            yield process, said
        finally:
            process.kill()
            process.wait()
            said.seek(0)
            print(f"-- {queue} said:\n{said.read().decode(errors='replace')[-SAID_MAX:]}")
