"""`manage.py up`: everything on this machine, until Ctrl-C. Never asks on the terminal."""

import asyncio
import fcntl
import os
import signal
import socket
import time
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils.module_loading import import_string

from nexgent.runtime.embedded import EmbeddedServers
from nexgent.runtime.supervisor import Supervisor, stdout_say

POSTGRES_VERSION_MIN = 150_000
_LISTEN_ANYWHERE = {"0.0.0.0": "localhost", "::": "localhost"}  # noqa: S104


class Command(BaseCommand):
    help = "Starts PostgreSQL, Valkey and every process of the product, and keeps them running."
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        self.begun = time.monotonic()
        self.address = (settings.ENV.host, settings.ENV.port)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        # The children take what this process found out, wherever they are started from.
        os.environ["NEXGENT_DATA_DIR"] = str(settings.DATA_DIR)
        os.chdir(settings.BASE_DIR)
        lock = self._lock()
        embedded = EmbeddedServers(settings.DATA_DIR)
        servers = {name: embedded for name, url in self._addresses().items() if not url}
        try:
            self._check_port()
            stdout_say(f"Nexgent starts; data in {settings.DATA_DIR}")
            for name in servers:
                getattr(embedded, f"start_{name}")()
            self._prepare_database(is_embedded="postgres" in servers)
            supervisor = Supervisor(
                servers=servers, address=self.address, say=stdout_say, is_labelled=not settings.PRODUCTION
            )
            asyncio.run(supervisor.run(self._tell_ready))
        except KeyboardInterrupt:
            stdout_say("Interrupted while starting.")
        finally:
            embedded.stop()
            os.close(lock)
        stdout_say("Nexgent has stopped.")

    @staticmethod
    def _addresses() -> dict[str, str]:
        return {
            "postgres": settings.ENV.database_url.get_secret_value(),
            "valkey": settings.ENV.redis_url.get_secret_value(),
        }

    @staticmethod
    def _lock() -> int:
        """One `up` per data directory; the kernel gives the lock back however this process ends."""
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o711)
        lock = os.open(settings.DATA_DIR / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(lock, 20, 0).decode() or "unknown"
            os.close(lock)
            raise CommandError(
                f"Nexgent already runs on the data directory {settings.DATA_DIR} (process {pid.strip()})."
                " Stop it first, or set NEXGENT_DATA_DIR and PORT for a second one."
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return lock

    def _check_port(self) -> None:
        host, port = self.address
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as problem:
                raise CommandError(f"Port {port} on {host} cannot be used ({problem.strerror}): set PORT.") from problem

    def _prepare_database(self, *, is_embedded: bool) -> None:
        if is_embedded:  # its password may have been made a moment ago
            password = unquote(urlsplit(EmbeddedServers(settings.DATA_DIR).database_url).password or "")
            settings.DATABASES["default"]["PASSWORD"] = connection.settings_dict["PASSWORD"] = password
        try:
            connection.ensure_connection()
        except OperationalError as problem:
            raise CommandError(f"DATABASE_URL: PostgreSQL does not answer: {problem}") from problem
        version = connection.cursor().connection.info.server_version
        if version < POSTGRES_VERSION_MIN:
            raise CommandError(f"DATABASE_URL: PostgreSQL 15 or newer is needed, this is {version // 10_000}.")
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", verbosity=0, interactive=False)
        call_command("create_admin", if_none=True)
        if os.environ.get("NEXGENT_DEMO") and settings.DEMO_PREPARATION:
            import_string(settings.DEMO_PREPARATION)()
        connections.close_all()

    def _tell_ready(self) -> None:
        host, port = self.address
        url = settings.PUBLIC_URL or f"http://{_LISTEN_ANYWHERE.get(host, host)}:{port}/"
        stdout_say(f"Nexgent is ready: {url}  (after {time.monotonic() - self.begun:.1f} s; Ctrl-C stops it)")
