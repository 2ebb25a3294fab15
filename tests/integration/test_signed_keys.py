"""Keys that sign their requests: what a stolen key, a changed request and a recorded one are worth."""

import hashlib
import hmac
import json
import re
import time
from datetime import timedelta
from pathlib import Path

import pytest

from nexgent import clock
from nexgent.accounts import signed_keys
from nexgent.accounts.models import ApiKey, KeyUse, SeenSignature
from nexgent.api import signatures
from signals.models import Signal
from tests.integration.api_client import Api, signed_in
from tests.racing import together

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/api-keys"
SIGNALS = "/api/v1/trading-signals"
MINT = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"
BODY = json.dumps({"tokenAddress": MINT, "signalType": "Momentum", "signalStrength": 4})


@pytest.fixture
def owner():
    return signed_in("owner@example.com")


@pytest.fixture
def key(owner):
    return made(owner)


def made(owner, **more):
    body = {"name": "bot", "scopes": ["signals", "positions"], "requiresSignature": True, **more}
    return owner.post(PATH, body).json()


def signature(secret, method, target, body="", *, at=None, once=""):
    """As docs/api.md tells a client to make it."""
    at = int(clock.now().timestamp()) if at is None else at
    first = f"{method} {target} {once}" if once else f"{method} {target}"
    text = f"{at}.{first}\n{body}"
    return f"t={at},v1={hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}"


def posted(key, header=None, *, path=SIGNALS, body=BODY, once=None):
    headers = {"Nexgent-Signature": header, "Idempotency-Key": once}
    return Api(key["key"]).post(path, body, **{name: value for name, value in headers.items() if value is not None})


def signed(key, *, method="POST", path=SIGNALS, body=BODY, at=None, once=""):
    return signature(key["signingSecret"], method, path, body, at=at, once=once)


def outcome(answer):
    return answer.status_code, answer.json().get("code")


def test_the_signing_secret_is_shown_once_and_sealed(owner, key):
    listed = owner.get(f"{PATH}/{key['id']}").json()
    stored = ApiKey.objects.get()

    assert (key["requiresSignature"], listed["requiresSignature"]) == (True, True)
    assert key["signingSecret"].startswith("nks_")
    assert "signingSecret" not in listed
    assert key["signingSecret"] not in stored.signing_secret


def test_a_key_without_it_has_no_signing_secret(owner):
    plain = owner.post(PATH, {"name": "bot", "scopes": ["signals"]}).json()

    assert (plain["requiresSignature"], plain["signingSecret"]) == (False, None)
    assert posted(plain).status_code == 201


def test_the_key_alone_opens_nothing(key):
    assert outcome(posted(key)) == (401, "SIGNATURE_REQUIRED")
    assert outcome(Api(key["key"]).get(SIGNALS)) == (401, "SIGNATURE_REQUIRED")
    assert outcome(Api().get(SIGNALS, **{"X-API-Key": key["key"]})) == (401, "SIGNATURE_REQUIRED")
    assert not KeyUse.objects.exists()
    assert not Signal.objects.exists()


def test_a_signed_request_is_answered(key):
    reading = signature(key["signingSecret"], "GET", f"{SIGNALS}?limit=5&offset=0")

    created = posted(key, signed(key))
    listed = Api(key["key"]).get(f"{SIGNALS}?limit=5&offset=0", **{"Nexgent-Signature": reading})

    assert created.status_code == 201
    assert [each["id"] for each in listed.json()] == [created.json()["id"]]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(lambda key: signed(key, body=BODY.replace("4", "5")), id="another body"),
        pytest.param(lambda key: signed(key, method="PUT"), id="another method"),
        pytest.param(lambda key: signed(key, path=f"{SIGNALS}/1"), id="another path"),
        pytest.param(lambda key: signed(key, path=f"{SIGNALS}?a=1"), id="another query"),
        pytest.param(lambda key: signed({"signingSecret": "nks_other"}), id="another secret"),
        pytest.param(lambda key: "yes", id="no signature"),
        pytest.param(lambda key: "", id="empty"),
    ],
)
def test_a_signature_of_something_else_is_refused(key, header):
    assert outcome(posted(key, header(key))) == (401, "SIGNATURE_WRONG")
    assert not Signal.objects.exists()


@pytest.mark.parametrize("seconds", [-301, 302])
def test_a_time_too_far_from_ours_is_refused(key, seconds):
    at = int(clock.now().timestamp()) + seconds

    assert outcome(posted(key, signed(key, at=at))) == (401, "SIGNATURE_EXPIRED")


def test_a_recorded_request_changes_nothing_a_second_time(key):
    header = signed(key)

    first, second = posted(key, header), posted(key, header)

    assert first.status_code == 201
    assert outcome(second) == (409, "MESSAGE_SEEN")
    assert Signal.objects.count() == 1


def test_of_one_request_sent_twelve_times_at_once_one_passes(key):
    header = signed(key)

    answers = together([lambda: posted(key, header).status_code] * 12)

    assert sorted(answers) == [201] + [409] * 11


def test_an_honest_repeat_within_the_second_gets_the_first_answer(key):
    header = signed(key, once="idea-17")

    first, second = (posted(key, header, once="idea-17") for _ in range(2))

    assert (first.status_code, second.status_code) == (201, 201)
    assert (first.headers.get("Idempotent-Replayed"), second.headers["Idempotent-Replayed"]) == (None, "true")
    assert second.json() == first.json()
    assert Signal.objects.count() == 1


def test_a_request_with_an_idempotency_key_sent_twelve_times_at_once_is_taken_once(key):
    header = signed(key, once="idea-17")

    answers = together([lambda: outcome(posted(key, header, once="idea-17"))] * 12)

    assert set(answers) <= {(201, None), (409, "IDEMPOTENCY_IN_PROGRESS")}
    assert (201, None) in answers
    assert Signal.objects.count() == 1


@pytest.mark.parametrize(("meant", "sent"), [("idea-17", "idea-18"), ("idea-17", None), ("", "idea-17")])
def test_an_idempotency_key_is_signed_too(key, meant, sent):
    answer = posted(key, signed(key, once=meant), once=sent)

    assert outcome(answer) == (401, "SIGNATURE_WRONG")
    assert not Signal.objects.exists()


def test_an_empty_idempotency_key_does_not_let_a_recorded_request_in(key):
    header = signed(key)

    assert posted(key, header).status_code == 201
    assert outcome(posted(key, header, once="")) == (409, "MESSAGE_SEEN")


def test_where_no_answers_are_kept_an_idempotency_key_does_not_let_a_recorded_request_in(key):
    path = f"{SIGNALS}/{posted(key, signed(key)).json()['id']}"
    header = signed(key, method="DELETE", path=path, body="", once="idea-17")
    headers = {"Nexgent-Signature": header, "Idempotency-Key": "idea-17"}

    first, second = (Api(key["key"]).delete(path, **headers) for _ in range(2))

    assert first.status_code < 300
    assert outcome(second) == (409, "MESSAGE_SEEN")


def test_the_example_of_the_documentation_makes_the_signature_that_it_names(monkeypatch):
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    example = re.search(r"```python\n(def signed\(.*?)```\n(.*?)\n\n", text, re.S)
    names = {"hashlib": hashlib, "hmac": hmac, "time": time}
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.5)
    exec(example[1], names)
    arguments = ("POST", "/api/v1/trading-signals", b"{}")

    made = names["signed"](*arguments, key="nex_x", secret="nks_example", once="idea-17")
    plain = names["signed"](*arguments, key="nex_x", secret="nks_example")

    assert made["Idempotency-Key"] == "idea-17"
    assert made["Nexgent-Signature"].removeprefix("t=1700000000,v1=") in example[2]
    for headers, once in ((made, "idea-17"), (plain, "")):
        message = signatures.of_request("POST", "/api/v1/trading-signals", "", b"{}", key=once)
        assert signatures.parse(headers["Nexgent-Signature"]).is_of(message, secret="nks_example")


def test_reading_twice_with_one_signature_is_harmless(key):
    header = signature(key["signingSecret"], "GET", SIGNALS)

    answers = [Api(key["key"]).get(SIGNALS, **{"Nexgent-Signature": header}).status_code for _ in range(2)]

    assert answers == [200, 200]
    assert not SeenSignature.objects.exists()


def test_rotation_gives_a_new_secret_and_each_key_its_own(owner, key):
    new = owner.post(f"{PATH}/{key['id']}/rotate", {"graceSeconds": 600}).json()
    now = int(clock.now().timestamp())

    old_with_old = posted(key, signed(key, at=now - 1))
    new_with_new = posted(new, signed(new, body=BODY.replace("4", "5")), body=BODY.replace("4", "5"))
    old_with_new = posted(key, signed(new, at=now - 2))
    new_alone = posted(new)
    owner.post(f"{PATH}/{key['id']}/rotate", {"graceSeconds": 0})

    assert new["requiresSignature"] is True
    assert new["signingSecret"] != key["signingSecret"]
    assert [each.status_code for each in (old_with_old, new_with_new)] == [201, 201]
    assert outcome(old_with_new) == (401, "SIGNATURE_WRONG")
    assert outcome(new_alone) == (401, "SIGNATURE_REQUIRED")
    assert ApiKey.objects.get().previous_signing_secret == ""


def test_a_changed_secret_key_says_what_to_do(key, settings):
    settings.SECRET_KEY = "another-secret-key-of-this-installation"

    answer = posted(key, signed(key))

    assert outcome(answer) == (401, "SIGNATURE_WRONG")
    assert "rotate it" in answer.json()["error"]


def test_it_opens_no_stream_and_gets_no_ticket(key):
    stream, tickets = "/api/v1/stream/positions", "/api/v1/ws-tickets"
    reading = signature(key["signingSecret"], "GET", stream)
    asking = signature(key["signingSecret"], "POST", tickets, "{}")

    streamed = Api(key["key"]).get(stream, **{"Nexgent-Signature": reading})
    ticket = posted(key, asking, path=tickets, body="{}")

    assert outcome(streamed) == (403, "AUTHORIZATION_ERROR")
    assert outcome(ticket) == (403, "AUTHORIZATION_ERROR")


def test_signatures_past_their_time_are_forgotten(key):
    assert posted(key, signed(key)).status_code == 201
    assert signed_keys.sweep(now=clock.now()) == 0

    assert signed_keys.sweep(now=clock.now() + timedelta(minutes=6)) == 1
