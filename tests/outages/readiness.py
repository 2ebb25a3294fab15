"""A web process as somebody outside sees it while what it stands on comes and goes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.servers import ROOT, web_server


def migrate(addresses: dict[str, str], *to: str) -> None:
    """Bring the tables up, all or to a named migration."""
    words = [sys.executable, "manage.py", "migrate", "--verbosity", "0", *to]
    subprocess.run(words, cwd=ROOT, env=os.environ | addresses, check=True)


@contextmanager
def asked(addresses: dict[str, str]) -> Iterator[httpx.Client]:
    """A client of a fresh web process."""
    with (
        web_server(addresses["REDIS_URL"], more=addresses) as started,
        httpx.Client(base_url=f"http://127.0.0.1:{started.port}", timeout=30) as client,
    ):
        yield client


def until(
    client: httpx.Client,
    wanted: dict[str, Any],
    *,
    seconds: float,
    path: str = "/api/v1/health/ready",
    part: str = "checks",
) -> float:
    """Seconds until the answer says what is wanted."""
    begun = time.monotonic()
    while True:
        answer = client.get(path)
        assert answer.status_code in (200, 503)
        found = answer.json()[part]
        if {name: found[name] for name in wanted} == wanted:
            return time.monotonic() - begun
        assert time.monotonic() - begun < seconds, found
        time.sleep(0.1)
