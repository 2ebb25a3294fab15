"""`manage.py servers`: PostgreSQL and Valkey of the data directory and nothing else, to work on the data."""

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from nexgent.runtime import up
from nexgent.runtime.embedded import EmbeddedServers


class Command(BaseCommand):
    help = "Starts the embedded PostgreSQL and Valkey only, until Ctrl-C: to restore a backup, or to look at the data."
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell's background job starts with it ignored
            signal.signal(number, signal.default_int_handler)
        with up.only_one(settings.DATA_DIR):
            servers = EmbeddedServers(settings.DATA_DIR)
            try:
                servers.start_valkey()
                servers.start_postgres()
                self.stdout.write(f"Servers of {settings.DATA_DIR} are ready; Ctrl-C stops them.")
                self.stdout.flush()
                threading.Event().wait()
            except KeyboardInterrupt:
                self.stdout.write("The servers have stopped.")
            finally:
                servers.stop()
