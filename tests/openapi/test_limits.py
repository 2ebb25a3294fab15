"""Request limits: exact across processes, told in headers, never in the way of a close."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from nexgent.accounts import services
from nexgent.api import throttling
from nexgent.api.throttling import Portions, limit
from signals.models import Signal
from tests.integration.api_client import Api, sign_up, signed_in
from tests.servers import own_valkey, web_server

pytestmark = pytest.mark.django_db(transaction=True)

MINT = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"
NAMES = (f"limit-{n}" for n in itertools.count())


def signal(number):
    return {"tokenAddress": MINT, "signalType": f"Kind {number}", "signalStrength": 1 + number % 5}


def test_two_processes_share_one_window_exactly():
    user = sign_up("bot@example.com")
    workspace_id = user.memberships.get().workspace_id
    key = services.api_key_create(user_id=user.id, workspace_id=workspace_id, name="bot", scopes=["signals"]).raw
    with own_valkey() as valkey, web_server(valkey.redis_url) as one, web_server(valkey.redis_url) as two:
        clients = [
            httpx.Client(base_url=f"http://127.0.0.1:{server.port}/api/v1", headers={"X-API-Key": key}, timeout=30)
            for server in (one, two)
        ]

        def post(number):
            return clients[number % 2].post("/trading-signals", json=signal(number))

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(post, range(130)))
        for client in clients:
            client.close()

    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(201), statuses.count(429)) == (120, 10)
    assert Signal.objects.count() == 120
    for answer in answers:
        assert answer.headers["RateLimit-Limit"] == "120"
        assert 0 < int(answer.headers["RateLimit-Reset"]) <= 60
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.headers["RateLimit-Remaining"] for answer in refused} == {"0"}
    assert all(answer.headers["Retry-After"] == str(answer.json()["retryAfter"]) for answer in refused)
    remaining = sorted(int(answer.headers["RateLimit-Remaining"]) for answer in answers if answer.status_code == 201)
    assert remaining == list(range(120))


def test_portions_of_several_processes_never_exceed_the_limit():
    key, processes = next(NAMES), [Portions() for _ in range(4)]

    allowed = [processes[n % 4].take(key, 100, 8)[0] for n in range(300)]

    assert 100 - 4 * 8 < sum(allowed) <= 100
    assert processes[0].take(key, 100, 8)[0] is False


def test_one_process_uses_its_limit_to_the_last():
    key, portions = next(NAMES), Portions()

    taken = [portions.take(key, 25, 10) for _ in range(30)]

    assert [is_allowed for is_allowed, _, _ in taken] == [True] * 25 + [False] * 5
    assert [remaining for _, remaining, _ in taken[:25]] == list(range(24, -1, -1))


def test_a_portion_ends_with_its_window(monkeypatch):
    now, key, portions = [1000.0], next(NAMES), Portions()
    monkeypatch.setattr(throttling.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(throttling.counter, "hit", lambda _key, by=1: (by, 30_000))
    portions.take(key, 100, 10)

    now[0] += 31

    assert portions.take(key, 100, 10) == (True, 99, 30_000)


def test_reads_and_writes_tell_their_generous_limits():
    api = signed_in("a@example.com")

    read, write = api.get("/api/v1/agents"), api.post("/api/v1/agents", {"name": "Momentum"})

    assert read.headers["RateLimit-Limit"] == "30000"
    assert 0 < int(read.headers["RateLimit-Remaining"]) < 30_000
    assert write.headers["RateLimit-Limit"] == "3000"


def test_buys_are_strict_and_closes_have_no_limit(monkeypatch):
    api = signed_in("a@example.com")
    strict = limit(next(NAMES), 2)
    from trading.api import trades

    monkeypatch.setattr(trades.Execute, "throttles", {"POST": (strict,)})

    buys = [api.post("/api/v1/trades/execute", {}).status_code for _ in range(4)]
    path = "/api/v1/agent-positions/0190a6a0-0000-7000-8000-000000000001/0190a6a0-0000-7000-8000-000000000002/close"
    closes = [api.post(path, {}) for _ in range(70)]

    assert buys == [400, 400, 429, 429]
    assert {answer.status_code for answer in closes} == {404}
    assert "RateLimit-Limit" not in closes[0].headers


def test_a_limit_by_path_counts_each_wallet_for_itself():
    class Ask:
        def __init__(self, path):
            self.path_info, self.principal, self._request = path, None, self
            self.META = {"REMOTE_ADDR": next(NAMES)}

    strict = limit(next(NAMES), 2, by_path=True)
    first, second = Ask("/wallets/a/reset"), Ask("/wallets/b/reset")
    second.META = first.META

    outcomes = [strict().allow_request(request, None) for request in (first, first, first, second)]

    assert outcomes == [True, True, False, True]
    assert first.rate_limit[:2] == (2, 0)


def test_sign_in_is_limited_by_address():
    api, other = Api(address="10.77.0.1"), Api(address="10.77.0.2")
    body = {"email": "nobody@example.com", "password": "wrong"}

    statuses = [api.post("/api/v1/auth/login", body).status_code for _ in range(6)]

    assert statuses[5] == 429
    assert other.post("/api/v1/auth/login", body).status_code != 429
