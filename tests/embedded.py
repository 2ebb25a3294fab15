"""Early pytest plugin (`-p tests.embedded`): real PostgreSQL and Valkey before Django's settings are read.

One PostgreSQL for all: with xdist the controller starts it, and every worker has a database of its own in it. Valkey's
channels know no databases, so every worker starts its own. `DATABASE_URL` and `REDIS_URL` of the caller are kept.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from nexgent.runtime.embedded import EmbeddedServers

_OURS = "NEXGENT_TEST_SERVERS"  # set by the controller: the addresses in the environment are those of this run


def _start() -> EmbeddedServers | None:
    is_worker = os.environ.get(_OURS) == "1" and "PYTEST_XDIST_WORKER" in os.environ
    needs_postgres = not os.environ.get("DATABASE_URL")
    needs_valkey = is_worker or not os.environ.get("REDIS_URL")
    if not (needs_postgres or needs_valkey):
        return None
    directory = Path(tempfile.mkdtemp(prefix="nexgent-test-"))
    servers = EmbeddedServers(directory)
    os.environ["NEXGENT_DATA_DIR"] = str(directory)
    if needs_postgres:
        os.environ["DATABASE_URL"] = servers.start_postgres(durable=False)
    if needs_valkey:
        os.environ["REDIS_URL"] = servers.start_valkey()
        os.environ[_OURS] = "1"
    return servers


os.environ.setdefault("NEXGENT_ENV", "test")
_servers = _start()


def _stop() -> None:
    global _servers
    if _servers is not None:
        _servers.stop()
        shutil.rmtree(_servers.data_dir, ignore_errors=True)
        _servers = None


atexit.register(_stop)


def pytest_unconfigure(config: pytest.Config) -> None:
    _stop()
