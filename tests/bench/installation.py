"""The product's processes beside a benchmark, on its scratch servers: each as `manage.py up` starts it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nexgent.runtime import processes
from nexgent.runtime.embedded import die_with_parent
from tests.bench.figures import ROOT

START_SECONDS = 60
STOP_SECONDS = 10


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(name: str, *, port: int = 0, wrapper: str = "", **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """One process by its name of `nexgent.runtime.processes`; waits until a web process listens.

    `wrapper` is a module that starts it in place of `manage.py` or Celery, with the same words.
    """
    own = {"NEXGENT_PROCESS": name, "SIGNAL_RATE": "1000000", "HOST": "127.0.0.1", "LOG_LEVEL": "WARNING"}
    own |= {"PRICES_WRITER": "thread", "PORT": str(port or 1)}
    words = processes.argv(name)
    if wrapper:
        words = [sys.executable, "-m", wrapper, *words[words.index("celery") + 1 :]]
    if name not in ("web", "beat"):  # two of a kind need names of their own
        words[words.index("-n") + 1] = f"{name}{free_port()}@bench"
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=os.environ | own | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            preexec_fn=die_with_parent(signal.SIGKILL),
            start_new_session=True,
        )
        try:
            if port:
                wait_until(lambda: _listens(port) or process.poll() is not None, f"{name} listens")
            yield process
            if process.poll() is not None:
                said.seek(0)
                raise RuntimeError(f"{name} ended with {process.returncode}:\n{said.read().decode()[-3000:]}")
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            said.seek(0)
            sys.stderr.write(said.read().decode()[-2000:])


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def wait_until(
    condition: Callable[[], object], what: str, *, seconds: float = START_SECONDS, every: float = 0.05
) -> None:
    """Wait for something to come true; raises TimeoutError when it does not."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(every)


def children(pid: int) -> dict[int, list[str]]:
    """All processes below `pid` with their command lines."""
    below: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue  # it ended meanwhile
        below.setdefault(parent, []).append(int(path.parent.name))
    found: dict[int, list[str]] = {}
    waiting = [pid]
    while waiting:
        for child in below.get(waiting.pop(), []):
            waiting.append(child)
            found[child] = _words(child)
    return found


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def pss_mb(pid: int) -> float:
    """The memory of a process in MB, shared pages counted in parts (PSS); 0 when it is gone."""
    return _memory_mb(pid, "Pss:")


def private_mb(pid: int) -> float:
    """The memory in MB that only this process has, whoever else has the same libraries open; 0 when it is gone."""
    return _memory_mb(pid, "Private_Clean:", "Private_Dirty:")


def _memory_mb(pid: int, *names: str) -> float:
    try:
        lines = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    except OSError:
        return 0.0
    return sum(int(line[1]) for line in lines if line[0] in names) / 1024
