"""A whole installation under the harness: servers that survive kills (durable PostgreSQL, Valkey with its log) and the
processes of the trade path, each of which can be armed to die at a named point.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from nexgent.runtime.embedded import EmbeddedServers, die_with_parent
from tests.crash.venue import FakeVenue
from tests.fakes.jupiter import FakeJupiter

ROOT = Path(__file__).resolve().parents[2]
SOL_USD = 150
_CELERY = ("--without-gossip", "--without-mingle", "--without-heartbeat")
ACTIVE = b"engine role taken"
UP = re.compile(rb"@crash ready|beat is active")
RESTART_SECONDS = 0.5
"""So long a dead process stays away, as under the supervisor."""


@dataclass
class Process:
    """One process slot; it is started again whenever it dies."""

    name: str
    kind: str
    words: list[str]
    popen: subprocess.Popen[bytes] | None = None
    point: str = ""
    next_point: str = ""
    killed_here: bool = False
    is_exchange: bool = False
    started_at: float = 0.0
    died_at: float = 0.0
    lives: int = 0
    is_up: bool = False
    port: int = 0
    """Of a web process."""


@dataclass
class Death:
    """One kill -9: of whom, and at which point ("" when it came from outside at any time)."""

    process: str
    point: str
    is_counted: bool = True
    """Not those that only exchange an armed process for another while nothing trades."""


@dataclass
class System:
    """Servers, fakes and processes; `deaths` lists every kill -9 that happened."""

    is_quick: bool = False
    is_control: bool = False
    control: str = "1"
    """Which one, where there are several: `CRASH_CONTROL` of the processes."""
    has_default: bool = False
    """Whether a process works off the queue `default` too: momentum, what is stuck, what cannot be traded."""
    webs: int = 1
    """Web processes, each with a port of its own."""
    program: str = "tests.crash.worker"
    """The module that the processes run."""
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="nexgent-crash-")))
    deaths: list[Death] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.chmod(0o711)
        self.servers = EmbeddedServers(self.folder)
        self.market = FakeJupiter(sol_usd=SOL_USD)
        self.venue = FakeVenue()
        self.processes: dict[str, Process] = {}
        self.active: tuple[str, int] | None = None
        """Slot and life of the process that took the engine role last."""
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.ports = _free_ports(self.webs)
        self.port = self.ports[0]

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def urls(self) -> list[str]:
        """Where the API is, of each web process."""
        return [f"http://127.0.0.1:{port}/api/v1" for port in self.ports]

    def prepare(self) -> dict[str, str]:
        """Start the servers and migrate; returns the environment that everybody shares."""
        environment = {
            "NEXGENT_ENV": "development",
            "NEXGENT_DATA_DIR": str(self.folder),
            "DATABASE_URL": self.servers.start_postgres(durable=True),
            "REDIS_URL": self.servers.start_valkey(),
            "DJANGO_SETTINGS_MODULE": "nexgent.settings",
            "SECRET_KEY": "",
            "PORT": str(self.port),
            "HOST": "127.0.0.1",
            "PRICE_FEEDS": "jupiter",
            "JUPITER_API_URL": self.market.url,
            "JUPITER_RATE": "6000",
            "PYTH_API_URL": self.market.url,
            "DEXSCREENER_API_URL": self.market.url,
            "SOLANA_RPC_URL": self.market.url,
            "SIGNAL_RATE": "100000",
            "CRASH_VENUE_URL": self.venue.url,
            "LOG_LEVEL": "INFO",
            "PYTHONUNBUFFERED": "1",
        }
        os.environ.update(environment)
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, env=os.environ, check=True
        )
        for fake in (self.market, self.venue):
            fake._server.handle_error = lambda *_: None  # clients are killed while they talk
            fake.__enter__()
        return environment

    def start(self) -> None:
        """Start all processes and keep each running."""
        slots = [("web", "web", ["web"]), ("beat", "beat", ["-A", "nexgent", "beat", "-l", "WARNING"])]
        slots += [(f"web{number}", "web", ["web"]) for number in range(2, self.webs + 1)]
        for kind, threads in (("exits", 4), ("entries", 4), ("prices", 8)):
            for number in range(1, 2 if self.is_quick else 3):
                words = ["-A", "nexgent", "worker", "-Q", kind, "-P", "threads", "-c", str(threads)]
                slots.append((f"{kind}{number}", kind, [*words, "-n", f"{kind}{number}@crash", *_CELERY]))
        if self.has_default:
            words = ["-A", "nexgent", "worker", "-Q", "default", "-P", "threads", "-c", "8", "-n", "default@crash"]
            slots.append(("default", "default", [*words, *_CELERY]))
        ports = iter(self.ports)
        for name, kind, words in slots:
            self.processes[name] = Process(name, kind, words, port=next(ports) if kind == "web" else 0)
            thread = threading.Thread(target=self._keep, args=(self.processes[name],), daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for process in self.processes.values():
            if process.popen is not None and process.popen.poll() is None:
                process.popen.kill()
        for thread in self._threads:
            thread.join(5)
        self.market.__exit__()
        self.venue.__exit__()
        self.servers.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def kills(self) -> int:
        return sum(death.is_counted for death in self.deaths)

    def exchange(self, name: str, point: str) -> None:
        """Start a slot again so that it dies at `point` when it gets there ("": nowhere)."""
        self.processes[name].next_point = point
        self.kill(name, is_exchange=True)

    def kill(self, name: str, *, is_exchange: bool = False) -> None:
        """kill -9 a process now, whatever it does."""
        process = self.processes[name]
        process.is_exchange = is_exchange
        with self._lock:
            if process.popen is not None and process.popen.poll() is None:
                process.killed_here = True
                process.popen.kill()

    def kill_server(self, name: str) -> None:
        """kill -9 PostgreSQL's or Valkey's main process, and start it again."""
        popen = self.servers.processes[name]
        popen.send_signal(signal.SIGKILL)
        popen.wait()
        self.deaths.append(Death(name, ""))
        time.sleep(RESTART_SECONDS)
        end = time.monotonic() + 30
        while True:
            try:
                getattr(self.servers, f"spawn_{name}")()
                getattr(self.servers, f"wait_for_{name}")()
                return
            except SystemExit as problem:  # PostgreSQL's children of before are still going down
                if time.monotonic() > end:
                    raise RuntimeError(f"{name} did not come back: {problem}") from problem
                time.sleep(0.3)

    def not_up(self) -> list[str]:
        """Processes that are dead or on their way up."""
        return [process.name for process in self.processes.values() if not self._is_up(process)]

    def _is_up(self, process: Process) -> bool:
        if process.popen is None or process.popen.poll() is not None:
            return False
        if process.kind != "web":
            return process.is_up
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", process.port)) == 0

    def _keep(self, process: Process) -> None:
        while not self._stopping.is_set():
            self._spawn(process)
            assert process.popen is not None
            assert process.popen.stderr is not None
            with (self.folder / f"{process.name}.out").open("ab") as log:
                for line in process.popen.stderr:
                    log.write(line)
                    log.flush()
                    if ACTIVE in line:
                        self.active = (process.name, process.lives)
                    process.is_up = process.is_up or bool(UP.search(line))
            code = process.popen.wait()
            process.died_at = time.monotonic()
            if self._stopping.is_set():
                return
            self._note(process, code)
            time.sleep(RESTART_SECONDS)

    def _spawn(self, process: Process) -> None:
        with self._lock:
            process.point, process.next_point = process.next_point, ""
            process.killed_here = process.is_exchange = False
            environment = os.environ | {"NEXGENT_PROCESS": process.kind, "NEXGENT_CRASH_POINT": process.point}
            if process.port:
                environment["PORT"] = str(process.port)
            if self.is_control:
                environment["CRASH_CONTROL"] = self.control
            process.is_up = False
            process.lives += 1
            process.started_at = time.monotonic()
            process.popen = subprocess.Popen(
                [sys.executable, "-m", self.program, *process.words],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                preexec_fn=die_with_parent(signal.SIGKILL),
                start_new_session=True,
            )

    def _note(self, process: Process, code: int) -> None:
        if code == -signal.SIGKILL:
            point = "" if process.killed_here else process.point
            self.deaths.append(Death(process.name, point, not process.is_exchange))
            if not process.killed_here and not process.point:
                self.surprises.append(f"{process.name} was killed by somebody else")
        else:
            self.surprises.append(f"{process.name} ended with code {code}: {self._last_word(process)}")

    def _last_word(self, process: Process) -> str:
        lines = (self.folder / f"{process.name}.out").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "without a word"


def _free_ports(number: int) -> list[int]:
    """So many ports that nobody listens on."""
    with contextlib.ExitStack() as open_ones:
        sockets = [open_ones.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
