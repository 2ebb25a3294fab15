"""What all endpoints share: request ids, CORS, errors outside of views, limits without Valkey, sessions, alarms."""

import itertools

import pytest
from django.test import Client

from nexgent import clock
from nexgent.accounts import services, tasks
from nexgent.api import idempotency, throttling
from nexgent.api.models import IdempotentAnswer
from nexgent.events import alarms
from nexgent.events.models import Alarm
from tests.integration.api_client import Api, sign_up, signed_in
from tests.racing import together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("given", "is_kept"), [("abc-123", True), ("x" * 65, False), ("a b", False), ("<script>", False)]
)
def test_a_harmless_request_id_is_kept_and_others_replaced(given, is_kept):
    answer = Api().get("/api/v1/auth/me", **{"X-Request-Id": given})

    assert (answer.headers["x-request-id"] == given) is is_kept
    assert answer.json()["requestId"] == answer.headers["x-request-id"]


def test_cors_answers_listed_origins_only(settings):
    settings.CORS_ORIGIN = ["https://app.example.com"]
    ask = {"Access-Control-Request-Method": "POST"}

    listed = Client().options("/api/v1/agents", headers={"Origin": "https://app.example.com", **ask})
    other = Client().options("/api/v1/agents", headers={"Origin": "https://evil.example.com", **ask})

    assert listed.status_code == other.status_code == 204
    assert listed.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "X-API-Key" in listed.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Origin" not in other.headers


def test_a_listed_origin_s_script_reads_limits_pages_and_tags(settings):
    settings.CORS_ORIGIN = ["https://app.example.com"]
    api = signed_in("a@example.com")

    answer = api.get("/api/v1/agents", Origin="https://app.example.com")

    exposed = {name.strip() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    sent = {name.lower() for name in answer.headers}
    assert {"etag", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "x-request-id"} <= sent
    assert {"ETag", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "X-Request-Id"} <= exposed
    assert {"Link", "X-Total-Count", "Idempotent-Replayed", "Retry-After"} <= exposed


def test_a_refusal_can_be_read_by_a_listed_origin_s_script(settings):
    settings.CORS_ORIGIN = ["https://app.example.com"]

    refused = Api().get("/api/v1/auth/me", Origin="https://app.example.com")

    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert refused.headers["Vary"].endswith("Origin")


def test_an_unexpected_exception_is_a_plain_500_with_its_id(monkeypatch):
    from agents import selectors

    def broken(*_args, **_named):
        raise RuntimeError("secret detail")

    api = signed_in("a@example.com")
    monkeypatch.setattr(selectors, "Listed", broken)
    api.client.raise_request_exception = False

    answer = api.get("/api/v1/agents")

    assert answer.status_code == 500
    assert answer.json()["code"] == "INTERNAL_ERROR"
    assert answer.json()["requestId"] == answer.headers["x-request-id"]
    assert b"secret detail" not in answer.content


def test_a_database_that_does_not_answer_is_a_503(monkeypatch):
    from django.db import OperationalError

    from agents import selectors

    def down(*_args, **_named):
        raise OperationalError("connection refused at /secret/path")

    api = signed_in("a@example.com")
    monkeypatch.setattr(selectors, "Listed", down)

    answer = api.get("/api/v1/agents")

    assert (answer.status_code, answer.json()["code"]) == (503, "DEPENDENCY_DOWN")
    assert b"secret" not in answer.content


def test_without_valkey_limits_count_per_process_and_an_alarm_stands(settings, monkeypatch):
    counter = throttling.Counter()
    monkeypatch.setattr(throttling, "counter", counter)
    working, settings.REDIS_URL = settings.REDIS_URL, "unix:///nowhere/valkey.sock"

    counts = [counter.hit("x")[0] for _ in range(3)]
    raised = Alarm.objects.get(code="LIMITER_LOCAL")
    settings.REDIS_URL = working
    counter._valkey, counter._down_until = None, 0.0
    counter.hit("x")

    assert counts == [1, 2, 3]
    assert raised.cleared_at is None
    assert Alarm.objects.get(code="LIMITER_LOCAL").cleared_at is not None


def test_the_window_is_shared_exact_and_ends():
    key = f"window-{clock.now().timestamp()}"

    results = together([lambda: throttling.counter.hit(key)] * 10)

    assert sorted(count for count, _ in results) == list(range(1, 11))
    assert all(0 < left <= throttling.WINDOW_MS for _, left in results)


def test_a_page_session_may_read_and_needs_csrf_to_write():
    user = sign_up("page@example.com")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)

    assert browser.get("/api/v1/auth/me").json()["email"] == "page@example.com"
    refused = browser.post("/api/v1/agents", {"name": "Momentum"}, content_type="application/json")
    assert refused.status_code == 403
    assert browser.get("/api/v1/agents").json() == []


def test_the_page_sign_in_is_under_the_same_lock():
    user = sign_up("admin@example.com", "Correct-Horse-9-Battery")
    browser = Client(REMOTE_ADDR="10.200.0.1")

    outcomes = [browser.login(username=user.email, password="wrong") for _ in range(5)]

    assert outcomes == [False] * 5
    with pytest.raises(services.Refusal, match="Too many"):
        services.authenticate(email=user.email, password="Correct-Horse-9-Battery", address="local")


def test_alarms_show_ones_own_and_the_installation_s():
    mine, other = signed_in("a@example.com"), signed_in("b@example.com")
    workspace = mine.post("/api/v1/agents", {"name": "Momentum"}) and sign_in_workspace("a@example.com")
    alarms.raise_alarm("FEED_SILENT", subject="jupiter", at=clock.now())
    alarms.raise_alarm("EXIT_FAILED", subject="position", workspace_id=workspace, detail={"n": 3}, at=clock.now())
    alarms.clear("FEED_SILENT", subject="jupiter", at=clock.now())

    rows = mine.get("/api/v1/alarms").json()

    assert {row["code"] for row in rows} == {"FEED_SILENT", "EXIT_FAILED"}
    assert set(rows[0]) == {"id", "code", "subject", "agentId", "detail", "since", "clearedAt"}
    assert [row["code"] for row in mine.get("/api/v1/alarms", {"active": "true"}).json()] == ["EXIT_FAILED"]
    assert [row["code"] for row in other.get("/api/v1/alarms").json()] == ["FEED_SILENT"]


def sign_in_workspace(email):
    from nexgent.accounts.models import Membership

    return Membership.objects.get(user__email=email).workspace_id


def test_first_administrator_is_made_once_even_by_two():
    names = itertools.count()

    def make():
        try:
            services.create_first_admin(f"admin{next(names)}@localhost", "Correct-Horse-9-Battery")
        except services.Refusal as refusal:
            return refusal.code
        return "made"

    outcomes = together([make] * 4)

    assert sorted(outcomes) == ["ADMIN_EXISTS"] * 3 + ["made"]


@pytest.mark.parametrize("password", ["short", "12345678901", "password123", "admin@localhost", "x" * 129])
def test_a_weak_password_makes_no_administrator(password):
    with pytest.raises(services.InvalidInput):
        services.create_first_admin("admin@localhost", password)

    assert services.has_administrator() is False


def test_kept_answers_are_swept_after_a_day():
    api = signed_in("a@example.com")
    api.post("/api/v1/agents", {"name": "Momentum"}, **{"Idempotency-Key": "k"})
    IdempotentAnswer.objects.update(created_at=clock.now() - idempotency.KEPT * 1.01)

    again = api.post("/api/v1/agents", {"name": "Momentum"}, **{"Idempotency-Key": "k"})
    IdempotentAnswer.objects.update(created_at=clock.now() - idempotency.KEPT * 1.01)

    assert "Idempotent-Replayed" not in again.headers
    tasks.sweep()
    assert IdempotentAnswer.objects.count() == 0


@pytest.mark.parametrize(
    "model", ["user", "workspace", "membership", "apikey", "tokensession", "revokedtoken", "loginguard"]
)
def test_the_admin_lists_accounts_and_hides_secrets(model):
    user = sign_up("admin@example.com")
    workspace_id = user.memberships.get().workspace_id
    made = services.api_key_create(user_id=user.id, workspace_id=workspace_id, name="bot", scopes=["signals"])
    browser = Client()
    browser.force_login(user)

    listed = browser.get(f"/admin/accounts/{model}/", {"q": "a"})

    assert listed.status_code == 200
    if model == "apikey":
        shown = browser.get(f"/admin/accounts/apikey/{made.key.id}/change/")
        assert shown.status_code == 200
        assert made.key.key_hash not in shown.content.decode()
    if model == "user":
        shown = browser.get(f"/admin/accounts/user/{user.id}/change/")
        assert shown.status_code == 200
        assert "argon2" not in shown.content.decode()
