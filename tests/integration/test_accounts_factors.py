"""Second factors: codes of an app, recovery codes, passkeys of a software authenticator; locks, and used steps."""

import json

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.test import Client

from nexgent.accounts import factors, services
from nexgent.accounts.models import AuditEntry, LoginGuard
from nexgent.errors import Refusal
from tests.integration.api_client import ADDRESSES, Api, sign_up
from tests.racing import together
from tests.soft_key import SoftKey, decoded

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "Correct-Horse-9-Battery"


def login(email, **extra):
    body = {"email": email, "password": PASSWORD, **extra}
    return Api(address=next(ADDRESSES)).post("/api/v1/auth/login", body)


def code_of(secret, *, step=0):
    """The app's code, `step` time steps away from the oldest one that counts."""
    first = next(iter(totp.yield_hotp_counters_from_time()))
    return totp.format_hotp_value(totp.hotp_value(secret, first + step))


@pytest.fixture
def person():
    """A user with an app, whose oldest code that counts is used; their secret and recovery codes."""
    user = sign_up("factor@example.com", PASSWORD)
    secret = factors.totp_offer(user).secret
    return user, secret, factors.totp_add(user, secret=secret, code=code_of(secret))


def test_a_password_alone_no_longer_signs_in_and_a_code_does(person):
    _, secret, _ = person

    alone, wrong = login("factor@example.com"), login("factor@example.com", code="000000")
    right = login("factor@example.com", code=code_of(secret, step=1))

    assert (alone.status_code, alone.json()["code"]) == (401, "SECOND_FACTOR_REQUIRED")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "CODE_WRONG")
    assert right.status_code == 200
    assert set(right.json()) == {"accessToken", "refreshToken", "user"}


def test_a_wrong_password_says_nothing_of_a_second_factor(person):
    answer = Api(address=next(ADDRESSES)).post(
        "/api/v1/auth/login", {"email": "factor@example.com", "password": "wrong-password"}
    )

    assert (answer.status_code, answer.json()["code"]) == (401, "AUTHENTICATION_ERROR")


def test_a_code_is_good_once_and_none_before_it(person):
    user, secret, _ = person
    later = code_of(secret, step=2)

    factors.code_check(user, later)

    for code in (later, code_of(secret, step=1), code_of(secret)):
        with pytest.raises(Refusal) as caught:
            factors.code_check(user, code)
        assert caught.value.code == "CODE_WRONG"


def test_one_code_lets_one_of_ten_parallel_sign_ins_in(person, monkeypatch):
    user, secret, _ = person
    monkeypatch.setattr("nexgent.accounts.guards.ATTEMPTS_MAX", 100)
    code = code_of(secret, step=1)

    def use():
        try:
            factors.code_check(user, code)
        except Refusal as refusal:
            return refusal.code
        return "in"

    outcomes = together([use] * 10)

    assert sorted(outcomes) == ["CODE_WRONG"] * 9 + ["in"]


def test_five_wrong_codes_lock_wherever_they_come_from(person):
    user, secret, codes = person
    answers = [login("factor@example.com", code="000000") for _ in range(5)]

    right = login("factor@example.com", code=code_of(secret, step=1))

    assert [answer.status_code for answer in answers] == [401, 401, 401, 401, 423]
    assert (right.status_code, right.json()["code"]) == (423, "ACCOUNT_LOCKED")
    assert right.json()["lockedUntil"].endswith("Z")
    assert LoginGuard.objects.get(email=str(user.pk)).failures == 6
    assert login("factor@example.com", code=codes[0]).status_code == 423


def test_a_recovery_code_signs_in_once(person):
    _, _, codes = person

    assert len(set(codes)) == 10
    assert login("factor@example.com", code=f"{codes[3][:4]} {codes[3][4:]}").status_code == 200
    assert login("factor@example.com", code=codes[3]).status_code == 401
    assert [each.codes_left for each in factors.listed(person[0].pk)] == [None, 9]
    entry = AuditEntry.objects.filter(kind="factor", action="changed").latest("id")
    assert (entry.actor_kind, entry.actor, entry.route) == ("user", "factor@example.com", "POST /api/v1/auth/login")


def test_secrets_are_encrypted_at_rest(person):
    _, secret, codes = person

    stored = json.dumps(list(Authenticator.objects.values_list("data", flat=True)))

    assert secret not in stored
    assert stored.count("v1:") == 2
    assert not any(code in stored for code in codes)


def test_a_changed_secret_key_is_said(person, settings):
    settings.SECRET_KEY = "another-key-that-was-not-there-before-4711"

    answer = login("factor@example.com", code="123456")

    assert (answer.status_code, answer.json()["code"]) == (409, "FACTOR_UNREADABLE")


def test_the_whole_life_of_an_app_over_rest():
    sign_up("rest@example.com", PASSWORD)
    api = Api(login("rest@example.com").json()["accessToken"])
    offer = api.post("/api/v1/auth/factors/totp/offer").json()

    wrong = api.post("/api/v1/auth/factors/totp", {"secret": offer["secret"], "code": "000000"})
    added = api.post("/api/v1/auth/factors/totp", {"secret": offer["secret"], "code": code_of(offer["secret"])})
    again = api.post("/api/v1/auth/factors/totp", {"secret": offer["secret"], "code": code_of(offer["secret"])})
    renewed = api.post("/api/v1/auth/factors/recovery-codes").json()["recoveryCodes"]
    listed = api.get("/api/v1/auth/factors").json()
    by_password = api.post("/api/v1/auth/step-up", {"password": PASSWORD})
    by_code = api.post("/api/v1/auth/step-up", {"code": renewed[0]})
    removed = api.delete(f"/api/v1/auth/factors/{listed[0]['id']}")

    assert offer["url"].startswith("otpauth://totp/rest%40example.com?secret=")
    assert (wrong.status_code, added.status_code, again.status_code) == (400, 201, 409)
    assert len(added.json()["recoveryCodes"]) == len(renewed) == 10
    assert set(added.json()["recoveryCodes"]) != set(renewed)
    assert [(each["kind"], each["codesLeft"]) for each in listed] == [("totp", None), ("recovery_codes", 10)]
    assert (by_password.status_code, by_code.status_code, removed.status_code) == (400, 200, 204)
    assert api.get("/api/v1/auth/factors").json() == []
    assert login("rest@example.com").status_code == 200


def test_the_form_of_the_admin_refuses_whoever_has_a_factor(person):
    assert Client().login(username="factor@example.com", password=PASSWORD) is False


def test_pages_ask_for_the_code_and_keep_the_way(person):
    _, secret, _ = person
    page = Client(REMOTE_ADDR=next(ADDRESSES))

    first = page.post("/sign-in/", {"email": "factor@example.com", "password": PASSWORD, "next": "/account/"})
    outside = page.get("/account/")
    wrong = page.post("/sign-in/code/", {"code": "000000"})
    right = page.post("/sign-in/code/", {"code": code_of(secret, step=1)})

    assert first.headers["Location"] == "/sign-in/code/"
    assert outside.headers["Location"].startswith("/sign-in/")
    assert wrong.status_code == 401
    assert right.headers["Location"] == "/account/"
    assert page.get("/account/").status_code == 200


def test_without_a_password_there_is_no_second_step():
    assert Client().get("/sign-in/code/").headers["Location"] == "/sign-in/"


@pytest.fixture
def key_holder():
    """A user with a passkey, signed out again."""
    sign_up("key@example.com", PASSWORD)
    page, key = at_localhost(), SoftKey()
    page.post("/sign-in/", {"email": "key@example.com", "password": PASSWORD})
    credential = key.made(page.post("/account/passkeys/options/").json())
    added = page.post("/account/passkeys/", {"name": "Laptop", "credential": json.dumps(credential)})
    assert added.headers["Location"] == "/account/codes/"
    assert page.get("/account/codes/").content.decode().count("<li>") == 10
    return key


def at_localhost():
    return Client(REMOTE_ADDR=next(ADDRESSES), SERVER_NAME="localhost")


def test_a_passkey_signs_in_alone(key_holder):
    page = at_localhost()

    credential = key_holder.answered(page.post("/sign-in/passkey/options/").json())
    answer = page.post("/sign-in/passkey/", {"credential": json.dumps(credential), "next": "/account/"})

    assert answer.headers["Location"] == "/account/"
    assert "Laptop" in page.get("/account/").content.decode()


def test_a_passkey_is_a_second_factor(key_holder):
    page = at_localhost()
    assert page.post("/sign-in/", {"email": "key@example.com", "password": PASSWORD}).headers["Location"] == (
        "/sign-in/code/"
    )

    options = page.post("/sign-in/passkey/options/").json()
    answer = page.post("/sign-in/code/", {"credential": json.dumps(key_holder.answered(options))})

    assert [decoded(each["id"]) for each in options["publicKey"]["allowCredentials"]] == [key_holder.id]
    assert answer.headers["Location"] == "/"
    assert login("key@example.com").json()["code"] == "SECOND_FACTOR_REQUIRED"


def test_a_passkey_s_answer_is_good_for_its_challenge_and_site_only(key_holder):
    page = at_localhost()
    options = page.post("/sign-in/passkey/options/").json()
    elsewhere = page.post(
        "/sign-in/passkey/", {"credential": json.dumps(key_holder.answered(options, origin="https://evil.example"))}
    )
    good = key_holder.answered(page.post("/sign-in/passkey/options/").json())
    page.post("/sign-in/passkey/options/")  # another challenge takes its place

    replayed = page.post("/sign-in/passkey/", {"credential": json.dumps(good)})

    assert (elsewhere.status_code, replayed.status_code) == (401, 401)
    assert page.get("/account/").status_code == 302


@pytest.mark.parametrize("credential", ["", "[]", "{}", "null", '{"response": 1}', '{"response": {"userHandle": 5}}'])
def test_what_is_no_credential_is_refused(credential):
    page = at_localhost()
    page.post("/sign-in/passkey/options/")

    assert page.post("/sign-in/passkey/", {"credential": credential}).status_code == 401


def test_factors_of_somebody_else_cannot_be_removed(person):
    sign_up("other@example.com", PASSWORD)
    api = Api(login("other@example.com").json()["accessToken"])

    theirs = factors.listed(person[0].pk)[0].id

    answer = api.delete(f"/api/v1/auth/factors/{theirs}")

    assert (answer.status_code, answer.json()["code"]) == (404, "FACTOR_NOT_FOUND")
    assert factors.is_needed(person[0].pk)


def test_an_operator_forgets_lost_factors(person):
    from django.core.management import call_command

    call_command("forget_factors", "factor@example.com")

    assert services.sign_in(email="factor@example.com", password=PASSWORD, address="10.0.0.1") == person[0]
