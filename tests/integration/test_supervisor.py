"""`manage.py up` with real processes: start, refusal of a second one, restarts, an end that leaves nothing."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nexgent.runtime.environment import PROJECT_DIR, Environment
from nexgent.runtime.processes import COMMANDS

READY_SECONDS = 60
STOP_SECONDS = 5.0


class Up:
    """A running `manage.py up` and what it printed."""

    def __init__(self, data_dir: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.data_dir = data_dir
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=PROJECT_DIR,
            env=environment(data_dir, PORT=str(self.port)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(line.rstrip() for line in self.process.stdout)

    def wait_for_line(self, pattern: str, *, seconds: float = READY_SECONDS) -> str:
        found = until(lambda: next((line for line in list(self.lines) if re.search(pattern, line)), ""), seconds)
        assert found, f"no line {pattern!r} in {self.lines[-20:]}"
        return found

    def children(self) -> dict[str, int]:
        """Process ids by name: the six processes and the two servers."""
        found = {}
        for pid, words in commands_below(self.process.pid).items():
            queue = re.search(r" -Q (\w+)", words)
            kinds = {
                "manage.py web": "web",
                "nexgent beat": "beat",
                "valkey-server": "valkey",
                "bin/postgres": "postgres",
            }
            name = queue[1] if queue else next((kind for sign, kind in kinds.items() if sign in words), words)
            found[name] = pid
        return found

    def get(self, path: str) -> tuple[int, dict]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)
        except (OSError, ValueError):
            return 0, {}

    def stop(self, number: int = signal.SIGINT) -> float:
        """Seconds until it ended."""
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        taken = time.monotonic() - begun
        self.reader.join(5)
        return taken


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """The environment of a user who has set nothing but the data directory."""
    ours = {name.upper() for name in Environment.model_fields} | {"NEXGENT_TEST_SERVERS", "NEXGENT_PROCESS"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "NEXGENT_ENV": "test", "NEXGENT_DATA_DIR": str(data_dir), **more}


def until(probe: Callable[[], object], seconds: float) -> object:
    """The probe's first true answer, or its last one."""
    end = time.monotonic() + seconds
    while not (answer := probe()) and time.monotonic() < end:
        time.sleep(0.05)
    return answer


def commands_below(parent: int) -> dict[int, str]:
    """Command lines of the direct children of a process."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found[int(entry.name)] = words
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """Below a directory that PostgreSQL's user may enter (pytest's own are closed to others)."""
    with tempfile.TemporaryDirectory(prefix="nexgent-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "data"


@pytest.fixture(scope="module")
def up(data_dir) -> Iterator[Up]:
    running = Up(data_dir)
    yield running
    if running.process.poll() is None:
        running.stop(signal.SIGTERM)


def test_it_gets_ready_and_says_where_with_which_administrator(up):
    line = up.wait_for_line("is ready")

    assert f"http://127.0.0.1:{up.port}/" in line
    assert up.wait_for_line(f"data in {up.data_dir}")
    assert re.search(r"Administrator admin@localhost, password \S{16}$", "\n".join(up.lines), re.M)
    status, body = up.get("/api/v1/health/ready")
    assert (status, body["ready"]) == (200, True)


def test_all_processes_run_and_none_has_children_of_its_own(up):
    up.wait_for_line("is ready")

    children = up.children()

    assert set(children) == {*COMMANDS, "postgres", "valkey"}
    assert [name for name in COMMANDS if commands_below(children[name])] == []


def test_a_second_one_on_the_same_data_is_refused_with_a_sentence(up):
    up.wait_for_line("is ready")

    second = subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=PROJECT_DIR,
        env=environment(up.data_dir, PORT=str(up.port + 1)),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert second.returncode == 1
    assert f"already runs on the data directory {up.data_dir} (process {up.process.pid})" in second.stderr
    assert "Traceback" not in second.stderr


def test_another_terminal_finds_the_running_servers(up):
    up.wait_for_line("is ready")

    question = "from nexgent.accounts.models import User; print(User.objects.get().email)"

    answer = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v0", "-c", question],
        cwd=PROJECT_DIR,
        env=environment(up.data_dir),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert answer.stdout.strip() == "admin@localhost", answer.stderr


def test_a_killed_process_is_reported_and_comes_back(up):
    up.wait_for_line("is ready")
    before = up.children()["exits"]

    os.kill(before, signal.SIGKILL)

    assert up.wait_for_line(r"^exits was ended by SIGKILL; it starts again in 0.5 s$", seconds=5)
    assert until(lambda: up.children().get("exits", before) != before, 10)


@pytest.mark.parametrize("server", ["postgres", "valkey"])
def test_a_killed_server_comes_back_and_the_web_process_finds_it(up, server):
    up.wait_for_line("is ready")
    before = up.children()[server]

    os.kill(before, signal.SIGKILL)

    assert up.wait_for_line(f"^{server} was ended by SIGKILL; it starts again", seconds=5)
    assert until(lambda: up.children().get(server, before) != before, 10)
    assert until(lambda: up.get("/health/ready")[0] == 200, 15)


def test_interrupted_it_stops_everything_within_five_seconds(up):
    up.wait_for_line("is ready")
    children = up.children()

    taken = up.stop(signal.SIGINT)

    assert taken < STOP_SECONDS, up.lines[-10:]
    assert up.process.returncode == 0
    assert up.lines[-1] == "Nexgent has stopped."
    assert [name for name, pid in children.items() if is_alive(pid)] == []
    assert list(up.data_dir.glob("postgres/.s.PGSQL*")) == []


def test_killed_outright_it_leaves_no_process_and_starts_again(data_dir):
    first = Up(data_dir)
    first.wait_for_line("is ready")
    children = first.children()

    first.stop(signal.SIGKILL)

    assert until(lambda: not any(is_alive(pid) for pid in children.values()), 5)
    second = Up(data_dir)
    second.wait_for_line("is ready")
    assert set(second.get("/health/ready")[1]["checks"].values()) == {True}
    assert "password" not in "\n".join(second.lines)
    assert second.stop(signal.SIGTERM) < STOP_SECONDS
