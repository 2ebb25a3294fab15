"""Sign-in, refresh, logout and me, through a real HTTP client against a real database."""

import time
from datetime import timedelta
from uuid import uuid4

import jwt
import pytest
from django.conf import settings
from django.test import Client

from nexgent import clock
from nexgent.accounts import services
from nexgent.accounts.models import LoginGuard, TokenSession, User
from nexgent.api import throttling
from tests.integration.api_client import ADDRESSES, Api, sign_up
from tests.racing import together

PASSWORD = "Correct-Horse-9-Battery"

pytestmark = pytest.mark.django_db(transaction=True)


def login(email: str, password: str = PASSWORD, *, address: str | None = None, **extra):
    body = {"email": email, "password": password, **extra}
    return Api(address=address or next(ADDRESSES)).post("/api/v1/auth/login", body)


def test_login_answers_in_the_reference_shape():
    user = sign_up("trader@example.com", PASSWORD)

    answer = login("Trader@Example.com")

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"accessToken", "refreshToken", "user"}
    assert set(body["user"]) == {"id", "email", "createdAt"}
    assert body["user"]["id"] == str(user.id)
    assert body["user"]["email"] == "trader@example.com"
    assert body["user"]["createdAt"].endswith("Z")
    assert len(body["user"]["createdAt"]) == len("2026-11-21T15:16:03.123Z")
    claims = jwt.decode(body["accessToken"], settings.JWT_SIGNING_KEY, algorithms=["HS256"])
    assert {"userId", "email", "type", "jti", "exp"} <= set(claims)
    assert (claims["userId"], claims["email"], claims["type"]) == (str(user.id), "trader@example.com", "access")
    assert claims["exp"] - claims["iat"] == 900


def test_me_needs_a_token_and_answers_the_user():
    sign_up("me@example.com", PASSWORD)
    token = login("me@example.com").json()["accessToken"]

    assert Api(token).get("/api/v1/auth/me").json()["email"] == "me@example.com"
    refused = Api().get("/api/v1/auth/me")
    assert refused.status_code == 401
    assert refused.json()["code"] == "AUTHENTICATION_ERROR"
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert refused.json()["requestId"] == refused.headers["x-request-id"]


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer " + "x" * 5000])
def test_a_malformed_credential_is_401(header):
    answer = Client().get("/api/v1/auth/me", headers={"Authorization": header})

    assert answer.status_code == 401


def test_forged_tokens_are_refused():
    user = sign_up("forged@example.com", PASSWORD)
    claims = {"userId": str(user.id), "email": user.email, "type": "access", "jti": "x", "exp": 4102444800}
    good = {**claims, "jti": "018f0000-0000-7000-8000-000000000001"}

    for token in (
        jwt.encode(good, "another-secret-that-is-long-enough-000", algorithm="HS256"),
        jwt.encode(good, None, algorithm="none"),
        jwt.encode({**good, "type": "refresh"}, settings.JWT_SIGNING_KEY, algorithm="HS256"),
        jwt.encode({**good, "exp": 1}, settings.JWT_SIGNING_KEY, algorithm="HS256"),
        jwt.encode(claims, settings.JWT_SIGNING_KEY, algorithm="HS256"),
        jwt.encode({k: v for k, v in good.items() if k != "jti"}, settings.JWT_SIGNING_KEY, algorithm="HS256"),
        jwt.encode({**good, "userId": "018f0000-0000-7000-8000-0000000000ff"}, settings.JWT_SIGNING_KEY, "HS256"),
        jwt.encode({**good, "sid": "018f0000-0000-7000-8000-0000000000ff"}, settings.JWT_SIGNING_KEY, "HS256"),
    ):
        assert Api(token).get("/api/v1/auth/me").status_code == 401
    assert Api(jwt.encode(good, settings.JWT_SIGNING_KEY, "HS256")).get("/api/v1/auth/me").status_code == 200


def test_a_token_that_was_good_is_refused_from_its_expiry_on():
    user = sign_up("brief@example.com", PASSWORD)
    ends = int(time.time()) + 3
    claims = {"userId": str(user.id), "email": user.email, "type": "access", "exp": ends}
    token = jwt.encode({**claims, "jti": str(uuid4())}, settings.JWT_SIGNING_KEY, algorithm="HS256")

    before = Api(token).get("/api/v1/auth/me").status_code
    time.sleep(ends + 0.05 - time.time())
    after = Api(token).get("/api/v1/auth/me").status_code

    assert (before, after) == (200, 401)


def test_a_refresh_token_opens_nothing_but_refresh():
    sign_up("types@example.com", PASSWORD)
    pair = login("types@example.com").json()

    assert Api(pair["refreshToken"]).get("/api/v1/auth/me").status_code == 401
    assert Api().post("/api/v1/auth/refresh", {"refreshToken": pair["accessToken"]}).status_code == 401


def test_the_legacy_refresh_token_is_not_rotated_and_answers_the_access_token_only():
    sign_up("legacy@example.com", PASSWORD)
    refresh = login("legacy@example.com").json()["refreshToken"]

    first = Api().post("/api/v1/auth/refresh", {"refreshToken": refresh})
    second = Api().post("/api/v1/auth/refresh", {"refreshToken": refresh})

    assert (first.status_code, second.status_code) == (200, 200)
    assert set(first.json()) == {"accessToken"}
    assert Api(first.json()["accessToken"]).get("/api/v1/auth/me").status_code == 200
    lifetime = TokenSession.objects.get().expires_at - TokenSession.objects.get().created_at
    assert timedelta(hours=23, minutes=59) < lifetime <= timedelta(hours=24)


def test_remember_me_lives_thirty_days():
    sign_up("long@example.com", PASSWORD)

    login("long@example.com", rememberMe=True)

    session = TokenSession.objects.get()
    assert session.lifetime_seconds == 30 * 86_400


def test_the_legacy_form_can_be_switched_off(settings):
    sign_up("off@example.com", PASSWORD)
    refresh = login("off@example.com").json()["refreshToken"]
    settings.LEGACY_REFRESH = False

    assert Api().post("/api/v1/auth/refresh", {"refreshToken": refresh}).status_code == 401


def test_without_the_legacy_form_every_refresh_token_rotates(settings):
    settings.LEGACY_REFRESH = False
    sign_up("off@example.com", PASSWORD)

    first = login("off@example.com").json()["refreshToken"]
    second = Api().post("/api/v1/auth/refresh", {"refreshToken": first})

    assert second.status_code == 200
    assert second.json()["refreshToken"] != first


def test_a_rotating_refresh_token_changes_and_its_reuse_ends_the_family():
    sign_up("rotate@example.com", PASSWORD)
    first = login("rotate@example.com", rotateRefresh=True).json()

    second = Api().post("/api/v1/auth/refresh", {"refreshToken": first["refreshToken"]}).json()
    parallel = Api().post("/api/v1/auth/refresh", {"refreshToken": first["refreshToken"]})
    TokenSession.objects.update(rotated_at=clock.now() - timedelta(seconds=21))
    reused = Api().post("/api/v1/auth/refresh", {"refreshToken": first["refreshToken"]})

    assert second["refreshToken"] != first["refreshToken"]
    assert parallel.status_code == 200
    assert reused.status_code == 401
    assert Api().post("/api/v1/auth/refresh", {"refreshToken": second["refreshToken"]}).status_code == 401
    assert Api(second["accessToken"]).get("/api/v1/auth/me").status_code == 401


def test_logout_ends_access_and_refresh():
    sign_up("bye@example.com", PASSWORD)
    pair = login("bye@example.com").json()
    other = login("bye@example.com").json()
    api = Api(pair["accessToken"])

    answer = api.post("/api/v1/auth/logout", {"refreshToken": pair["refreshToken"]})

    assert answer.status_code == 200
    assert answer.json()["success"] is True
    assert set(answer.json()) == {"success", "message"}
    assert api.get("/api/v1/auth/me").status_code == 401
    assert Api().post("/api/v1/auth/refresh", {"refreshToken": pair["refreshToken"]}).status_code == 401
    assert Api(other["accessToken"]).get("/api/v1/auth/me").status_code == 200


def test_logout_without_a_body_ends_the_session_too():
    sign_up("plain@example.com", PASSWORD)
    pair = login("plain@example.com").json()

    Api(pair["accessToken"]).post("/api/v1/auth/logout")

    assert Api().post("/api/v1/auth/refresh", {"refreshToken": pair["refreshToken"]}).status_code == 401


def test_logout_cannot_end_the_session_of_somebody_else():
    sign_up("one@example.com", PASSWORD)
    sign_up("two@example.com", PASSWORD)
    one, two = login("one@example.com").json(), login("two@example.com").json()

    Api(one["accessToken"]).post("/api/v1/auth/logout", {"refreshToken": two["refreshToken"]})

    assert Api().post("/api/v1/auth/refresh", {"refreshToken": two["refreshToken"]}).status_code == 200


def test_a_changed_password_ends_every_session():
    user = sign_up("change@example.com", PASSWORD)
    pair = login("change@example.com").json()

    services.password_change(user_id=user.id, current=PASSWORD, new="Another-Horse-8-Staple")

    assert Api(pair["accessToken"]).get("/api/v1/auth/me").status_code == 401
    assert Api().post("/api/v1/auth/refresh", {"refreshToken": pair["refreshToken"]}).status_code == 401
    assert login("change@example.com").status_code == 401
    assert login("change@example.com", "Another-Horse-8-Staple").status_code == 200


def test_a_deactivated_user_is_out_at_once():
    user = sign_up("gone@example.com", PASSWORD)
    pair = login("gone@example.com").json()

    User.objects.filter(id=user.id).update(is_active=False)

    assert Api(pair["accessToken"]).get("/api/v1/auth/me").status_code == 401
    assert Api().post("/api/v1/auth/refresh", {"refreshToken": pair["refreshToken"]}).status_code == 401
    assert login("gone@example.com").status_code == 401


@pytest.mark.parametrize("email", ["locked@example.com", "unknown@example.com"])
def test_five_failures_lock_known_and_unknown_emails_alike(email):
    sign_up("locked@example.com", PASSWORD)
    address = next(ADDRESSES)

    answers = []
    for _ in range(5):
        answers.append(login(email, "wrong-password", address=address))
    throttling.counter.hit("nothing")  # the limit of 5 per minute is another test's
    sixth = services_login(email, address)

    assert [answer.status_code for answer in answers] == [401, 401, 401, 401, 423]
    assert {answer.json()["error"] for answer in answers[:4]} == {"The e-mail or the password is wrong."}
    assert answers[4].json()["lockedUntil"].endswith("Z")
    assert sixth == "ACCOUNT_LOCKED"


def services_login(email: str, address: str, password: str = PASSWORD) -> str:
    from nexgent.errors import Refusal

    try:
        services.authenticate(email=email, password=password, address=address)
    except Refusal as refusal:
        return refusal.code
    return "OK"


def test_a_lock_that_ended_starts_a_new_count():
    sign_up("again@example.com", PASSWORD)
    for _ in range(5):
        services_login("again@example.com", "10.9.9.9", "wrong")
    LoginGuard.objects.update(locked_until=clock.now() - timedelta(seconds=1))

    assert services_login("again@example.com", "10.9.9.9", "wrong") == "AUTHENTICATION_ERROR"
    assert LoginGuard.objects.get().failures == 1
    assert services_login("again@example.com", "10.9.9.9") == "OK"
    assert LoginGuard.objects.count() == 0


def test_a_lock_holds_for_its_address_only():
    sign_up("remote@example.com", PASSWORD)
    for _ in range(6):
        services_login("remote@example.com", "10.9.9.8", "wrong")

    assert services_login("remote@example.com", "10.9.9.8") == "ACCOUNT_LOCKED"
    assert services_login("remote@example.com", "10.9.9.7") == "OK"


def test_parallel_guesses_are_all_counted():
    sign_up("parallel@example.com", PASSWORD)

    outcomes = together([lambda: services_login("parallel@example.com", "10.9.9.6", "wrong")] * 8)

    assert sorted(outcomes) == ["ACCOUNT_LOCKED"] * 4 + ["AUTHENTICATION_ERROR"] * 4
    assert LoginGuard.objects.get().failures == 8


def test_login_is_limited_to_five_a_minute_per_address():
    sign_up("limit@example.com", PASSWORD)
    address = next(ADDRESSES)

    answers = [login("limit@example.com", address=address) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert 1 <= answers[5].json()["retryAfter"] <= 60
    assert answers[5].headers["Retry-After"] == str(answers[5].json()["retryAfter"])
    assert answers[5].json()["code"] == "RATE_LIMITED"
    assert login("limit@example.com").status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": "a@b.c"}, "password"),
        ({"email": "not-an-address", "password": "x"}, "email"),
        ({"email": "a@b.c", "password": ""}, "password"),
        ({"email": "a@b.c", "password": 5}, "password"),
        ({"email": ["a@b.c"], "password": "x"}, "email"),
        ({"email": "a@b.c", "password": "x", "rememberMe": "yes"}, "rememberMe"),
        ({"email": "a@b.c", "password": "x" * 2000}, "password"),
    ],
)
def test_a_wrong_login_body_names_its_field(body, field):
    answer = Api(address=next(ADDRESSES)).post("/api/v1/auth/login", body)

    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert answer.json()["code"] == "VALIDATION_ERROR"
    assert field in [error["field"] for error in answer.json()["details"]["errors"]]


def test_without_any_administrator_sign_in_says_so():
    answer = login("first@example.com")

    assert answer.status_code == 503
    assert answer.json()["code"] == "NO_ADMINISTRATOR"
    assert "create_admin" in answer.json()["error"]


def test_register_does_not_exist_while_registration_is_off():
    assert Api().post("/api/v1/auth/register", {"email": "a@b.c", "password": PASSWORD}).status_code in (403, 404)
