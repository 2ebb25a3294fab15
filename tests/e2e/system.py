"""The whole product as a user starts it: `manage.py up` on its own servers, with Jupiter's stand-in on loopback."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.fakes.jupiter import FakeJupiter
from tests.fakes.loopback import Raw
from tests.servers import ROOT, free_port

EMAIL, PASSWORD = "trader@example.com", "correct-horse-battery-9"
SOL_USD = Decimal(150)
START_SECONDS = 45
OURS = ("DATABASE_URL", "REDIS_URL", "NEXGENT_", "DJANGO_", "PRICE", "PYTEST", "SECRET_KEY", "JWT_SECRET", "ADMIN_")


@dataclass
class System:
    """A running installation; `market` sets what Jupiter says."""

    url: str
    market: FakeJupiter
    said: deque[str] = field(default_factory=lambda: deque(maxlen=400))
    token: str = ""

    def price(self, mint: str, sol: str) -> None:
        """From the next poll on, the mint costs so many SOL."""
        self.market.prices[mint] = Raw(format(Decimal(sol) * SOL_USD, "f"))

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """A REST call as the signed-in administrator, unless headers say who."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if not headers and self.token:
            headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(
            f"{self.url}/api/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as problem:
            raise AssertionError(f"{method} {path}: {problem.code} {problem.read().decode()}") from problem

    def sign_in(self) -> None:
        self.token = self.call("POST", "auth/login", {"email": EMAIL, "password": PASSWORD})["accessToken"]

    def agent(self, name: str, *, sol: str, **config: Any) -> str:
        """A funded simulated agent that fills exactly at the price."""
        agent = self.call("POST", "agents", {"name": name, "profile": "ideal", "config": config})
        deposit = {"agentId": agent["id"], "transactionType": "DEPOSIT", "outputAmount": sol}
        self.call("POST", "agent-transactions", deposit)
        return str(agent["id"])

    def holds(self, agent_id: str) -> bool:
        """Whether the agent has an open position."""
        return bool(self.call("GET", f"agent-positions/{agent_id}"))

    def key(self) -> str:
        return str(self.call("POST", "api-keys", {"name": "bot", "scopes": ["signals"]})["key"])

    def signal(self, key: str, mint: str, symbol: str, *, kind: str = "Breakout") -> None:
        """Post a signal as a bot does."""
        body = {"tokenAddress": mint, "symbol": symbol, "signalType": kind, "signalStrength": 5}
        self.call("POST", "trading-signals", body, X_API_Key=key)


@contextmanager
def running() -> Iterator[System]:
    """Start everything in a directory of its own, stop it with SIGTERM."""
    directory = Path(tempfile.mkdtemp(prefix="nexgent-e2e-"))
    directory.chmod(0o711)
    port = free_port()
    with FakeJupiter(sol_usd=int(SOL_USD)) as market:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | {
            "NEXGENT_ENV": "development",
            "NEXGENT_DATA_DIR": str(directory),
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "ADMIN_EMAIL": EMAIL,
            "ADMIN_PASSWORD": PASSWORD,
            "PRICE_FEEDS": "jupiter",
            "JUPITER_API_URL": market.url,
            "JUPITER_API_KEY": "jup-key-of-the-stand-in-4711",  # without one the budget is that of the free tier
            "JUPITER_RATE": "600",
            "PYTH_API_URL": market.url,
            "DEXSCREENER_API_URL": market.url,
            "SOLANA_RPC_URL": market.url,
        }
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        system = System(f"http://127.0.0.1:{port}", market)
        ready = threading.Event()
        threading.Thread(target=_listen, args=(process, system, ready), daemon=True).start()
        try:
            wait_until(lambda: ready.is_set() or process.poll() is not None, seconds=START_SECONDS)
            if not ready.is_set():
                raise AssertionError("the product did not start:\n" + "\n".join(system.said))
            system.sign_in()
            yield system
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            shutil.rmtree(directory, ignore_errors=True)


def _listen(process: subprocess.Popen[str], system: System, ready: threading.Event) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        system.said.append(line.rstrip())
        if "Nexgent is ready" in line:
            ready.set()


def wait_until(condition: Any, *, seconds: float = 10, every: float = 0.05) -> bool:
    """Whether `condition()` came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True
