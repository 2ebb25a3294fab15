"""The API through a real web server process: daphne, its threads and pool, over HTTP."""

import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from nexgent.accounts import services
from signals.models import Signal
from tests.integration.api_client import sign_up
from tests.servers import own_valkey, web_server

pytestmark = pytest.mark.django_db(transaction=True)

MINT = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"
PASSWORD = "Correct-Horse-9-Battery"


@pytest.fixture
def server():
    with (
        own_valkey() as valkey,
        web_server(valkey.redis_url, more={"SIGNAL_RATE": "100000"}) as started,
        httpx.Client(base_url=f"http://127.0.0.1:{started.port}/api/v1", timeout=20) as client,
    ):
        yield client


def signal(number):
    return {"tokenAddress": MINT, "signalType": f"Velocity {number}", "signalStrength": 1 + number % 5}


def test_sign_in_key_and_signals_over_http(server):
    user = sign_up("trader@example.com", PASSWORD)
    signed = server.post("/auth/login", json={"email": user.email, "password": PASSWORD}).json()
    person = {"Authorization": f"Bearer {signed['accessToken']}"}
    key = server.post("/api-keys", json={"name": "bot", "scopes": ["signals"]}, headers=person).json()["key"]
    bot = {"X-API-Key": key}
    for number in range(10):
        server.post("/trading-signals", json=signal(number), headers=bot)

    times = []
    for number in range(100, 200):
        start = time.perf_counter()
        answer = server.post("/trading-signals", json=signal(number), headers=bot)
        times.append(time.perf_counter() - start)
        assert answer.status_code == 201
    with ThreadPoolExecutor(8) as threads:
        parallel = list(
            threads.map(
                lambda n: server.post("/trading-signals", json=signal(n), headers=bot).status_code, range(200, 260)
            )
        )

    assert set(parallel) == {201}
    assert Signal.objects.count() == 170
    median_ms = statistics.median(times) * 1000
    if os.environ.get("SHOW_FIGURES"):
        print(f"POST /trading-signals p50 {median_ms:.2f} ms, p95 {sorted(times)[94] * 1000:.2f} ms")
    assert median_ms < 60


def test_errors_keep_their_shape_over_http(server):
    user = sign_up("trader@example.com", PASSWORD)
    workspace_id = user.memberships.get().workspace_id
    raw = services.api_key_create(user_id=user.id, workspace_id=workspace_id, name="bot", scopes=["signals"]).raw
    bot = {"Authorization": f"Bearer {raw}"}

    answers = {
        "anonymous": server.get("/auth/me"),
        "unknown": server.get("/nothing", headers=bot),
        "malformed": server.post("/trading-signals", content=b"{", headers={**bot, "Content-Type": "application/json"}),
        "form": server.post("/trading-signals", data={"a": "b"}, headers=bot),
        "large": server.post("/trading-signals", json={"activationReason": "x" * 1_200_000}, headers=bot),
        "scope": server.get("/agents", headers=bot),
        "method": server.patch("/trading-signals", json={}, headers=bot),
    }

    assert {name: answer.status_code for name, answer in answers.items()} == {
        "anonymous": 401,
        "unknown": 404,
        "malformed": 400,
        "form": 415,
        "large": 413,
        "scope": 403,
        "method": 405,
    }
    for answer in answers.values():
        assert {"error", "code", "details", "requestId"} <= set(answer.json())
        assert answer.json()["requestId"] == answer.headers["x-request-id"]
