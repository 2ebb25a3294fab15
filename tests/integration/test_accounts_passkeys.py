"""Passkeys over REST, from the challenge to signing in: whose challenge it is, how long and how often it is good."""

import json
from datetime import timedelta

import pytest
from django.test import Client

from nexgent import clock
from nexgent.accounts.models import TokenSession, User
from nexgent.events import bell
from tests.integration.api_client import ADDRESSES, signed_in
from tests.soft_key import SoftKey, decoded, encoded

pytestmark = pytest.mark.django_db(transaction=True)
FACTORS = "/api/v1/auth/factors"
PASSKEYS, OFFER = f"{FACTORS}/passkeys", f"{FACTORS}/passkeys/offer"


def person(email):
    api = signed_in(email)
    api.client.defaults["SERVER_NAME"] = "localhost"
    return api


def offered(api):
    answer = api.post(OFFER)
    assert answer.status_code == 200, answer.json()
    return answer.json()


def made(offer, *, key=None, name="Laptop"):
    credential = (key or SoftKey()).made(offer)
    return {"challengeId": offer["challengeId"], "name": name, "credential": credential}


def refused_fields(answer):
    assert answer.status_code == 400, answer.json()
    return [error["field"] for error in answer.json()["details"]["errors"]]


def test_the_whole_life_of_a_passkey_over_rest():
    api, key = person("a@example.com"), SoftKey()
    offer = offered(api)

    added = api.post(PASSKEYS, made(offer, key=key))
    again = offered(api)
    listed = api.get(FACTORS).json()
    renamed = api.patch(f"{FACTORS}/{listed[0]['id']}", {"name": " Desk "})
    page = Client(REMOTE_ADDR=next(ADDRESSES), SERVER_NAME="localhost")
    credential = json.dumps(key.answered(page.post("/sign-in/passkey/options/").json()))
    entered = page.post("/sign-in/passkey/", {"credential": credential, "next": "/account/"})

    assert (offer["expiresIn"], offer["publicKey"]["rp"]["id"]) == (300, "localhost")
    assert offer["publicKey"]["authenticatorSelection"]["userVerification"] == "required"
    assert (added.status_code, len(added.json()["recoveryCodes"])) == (201, 10)
    assert [decoded(each["id"]) for each in again["publicKey"]["excludeCredentials"]] == [key.id]
    assert [(each["kind"], each["name"]) for each in listed] == [
        ("webauthn", "Laptop"),
        ("recovery_codes", "Recovery codes"),
    ]
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Desk")
    assert entered.headers["Location"] == "/account/"
    assert "Desk" in page.get("/account/").content.decode()
    assert api.delete(f"{FACTORS}/{listed[0]['id']}").status_code == 204
    assert api.get(FACTORS).json() == []


def test_a_challenge_opens_no_session():
    api = person("a@example.com")

    answers = [api.post(OFFER), api.post(PASSKEYS, made(offered(api)))]

    assert [answer.status_code for answer in answers] == [200, 201]
    assert [len(answer.cookies) for answer in answers] == [0, 0]


def test_a_challenge_is_good_once_even_when_the_answer_was_wrong():
    api = person("a@example.com")
    first, second = offered(api), offered(api)
    good = made(first)
    crossed = {**good, "challengeId": second["challengeId"]}

    assert refused_fields(api.post(PASSKEYS, crossed)) == ["credential"]
    assert refused_fields(api.post(PASSKEYS, made(second))) == ["challengeId"]
    assert api.post(PASSKEYS, good).status_code == 201
    assert refused_fields(api.post(PASSKEYS, good)) == ["challengeId"]
    assert [each["kind"] for each in api.get(FACTORS).json()] == ["webauthn", "recovery_codes"]


def test_a_challenge_is_its_persons_and_nobody_else_spends_it():
    api, other = person("a@example.com"), person("b@example.com")
    offer = offered(api)

    assert refused_fields(other.post(PASSKEYS, made(offer))) == ["challengeId"]
    assert other.get(FACTORS).json() == []
    assert api.post(PASSKEYS, made(offer)).status_code == 201


def test_a_challenge_ends_after_five_minutes():
    api = person("a@example.com")
    offer = offered(api)

    with bell.connect() as valkey:
        (key,) = valkey.keys(f"nexgent:passkey:{User.objects.get().pk}:*")
        assert 290 < valkey.ttl(key) <= 300
        assert offer["challengeId"].encode() not in key
        valkey.expire(key, 0)

    assert refused_fields(api.post(PASSKEYS, made(offer))) == ["challengeId"]


@pytest.mark.parametrize("credential", [{}, {"id": "x"}, {"response": 1}, {"id": "x", "response": {}, "rawId": 5}])
def test_what_is_no_credential_is_refused(credential):
    api = person("a@example.com")
    body = {"challengeId": offered(api)["challengeId"], "credential": credential}

    assert refused_fields(api.post(PASSKEYS, body)) == ["credential"]


MALFORMED = [
    pytest.param(b"", id="empty"),
    pytest.param(b"\xa1\x61a\x1a", id="a number cut short"),
    pytest.param(b"\xa3cfmtdnone", id="a map cut short"),
    pytest.param(b"\x81" * 5_000, id="too deep"),
    pytest.param(b"\x61\xff", id="no text"),
    pytest.param(b"\xa1\x80\x00", id="a list for a name"),
    pytest.param(b"\xc0\x00", id="a kind unheard of"),
]


@pytest.mark.parametrize("attestation", MALFORMED)
def test_a_malformed_credential_is_refused(attestation):
    api = person("a@example.com")
    body = made(offered(api))
    body["credential"]["response"]["attestationObject"] = encoded(attestation)

    assert refused_fields(api.post(PASSKEYS, body)) == ["credential"]
    assert api.get(FACTORS).json() == []


@pytest.mark.parametrize("field", ["authenticatorData", "clientDataJSON", "signature", "userHandle"])
@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[" * 5_000, b"\x00" * 36 + b"\x40", b"\x00" * 32 + b"\x80" + b"\x00" * 4]
)
def test_a_malformed_answer_of_a_passkey_lets_nobody_in(field, data):
    api, key = person("a@example.com"), SoftKey()
    assert api.post(PASSKEYS, made(offered(api), key=key)).status_code == 201
    page = Client(REMOTE_ADDR=next(ADDRESSES), SERVER_NAME="localhost")
    answer = key.answered(page.post("/sign-in/passkey/options/").json())
    answer["response"][field] = encoded(data)

    entered = page.post("/sign-in/passkey/", {"credential": json.dumps(answer)})

    assert entered.status_code == 401
    assert page.get("/account/").status_code == 302


def test_a_credential_of_another_site_is_refused():
    api = person("a@example.com")
    offer = offered(api)
    foreign = SoftKey().made(offer, origin="https://evil.example")

    answer = api.post(PASSKEYS, {"challengeId": offer["challengeId"], "credential": foreign})

    assert refused_fields(answer) == ["credential"]


def test_every_step_asks_for_a_fresh_proof():
    api = person("a@example.com")
    api.post(PASSKEYS, made(offered(api)))
    mine = api.get(FACTORS).json()[0]["id"]
    waiting = made(offered(api))
    TokenSession.objects.update(proved_at=clock.now() - timedelta(minutes=11))

    answers = [
        api.post(OFFER),
        api.post(PASSKEYS, waiting),
        api.patch(f"{FACTORS}/{mine}", {"name": "Mine"}),
        api.delete(f"{FACTORS}/{mine}"),
    ]

    assert [(each.status_code, each.json()["code"]) for each in answers] == [(403, "STEP_UP_REQUIRED")] * 4
    assert [each["name"] for each in api.get(FACTORS).json()] == ["Laptop", "Recovery codes"]


def test_a_passkey_of_somebody_else_keeps_its_name():
    api, other = person("a@example.com"), person("b@example.com")
    api.post(PASSKEYS, made(offered(api)))
    theirs = api.get(FACTORS).json()

    renamed = other.patch(f"{FACTORS}/{theirs[0]['id']}", {"name": "Mine"})
    codes = api.patch(f"{FACTORS}/{theirs[1]['id']}", {"name": "Codes"})

    assert (renamed.status_code, renamed.json()["code"]) == (404, "FACTOR_NOT_FOUND")
    assert codes.status_code == 404
    assert [each["name"] for each in api.get(FACTORS).json()] == ["Laptop", "Recovery codes"]


def test_without_valkey_there_is_no_challenge(settings):
    api = person("a@example.com")
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    answer = api.post(OFFER)

    assert (answer.status_code, answer.json()["code"]) == (503, "DEPENDENCY_DOWN")
