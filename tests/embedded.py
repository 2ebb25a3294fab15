"""Early pytest plugin (`-p tests.embedded`): real PostgreSQL and Valkey before Django's settings are read.

With xdist only the controller starts them; workers inherit the addresses.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from nexgent.runtime.embedded import EmbeddedServers

_servers: EmbeddedServers | None = None

os.environ.setdefault("NEXGENT_ENV", "test")
if not os.environ.get("DATABASE_URL"):
    _directory = Path(tempfile.mkdtemp(prefix="nexgent-test-"))
    _directory.chmod(0o711)
    _servers = EmbeddedServers(_directory)
    os.environ["NEXGENT_DATA_DIR"] = str(_directory)
    os.environ["DATABASE_URL"] = _servers.start_postgres(durable=False)
    os.environ["REDIS_URL"] = _servers.start_valkey()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _servers is not None:
        _servers.stop()
        shutil.rmtree(_servers.data_dir, ignore_errors=True)
