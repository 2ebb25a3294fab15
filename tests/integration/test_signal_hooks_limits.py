"""What holds a signal hook back: a fresh proof to make it, an end, its networks, and one answer per Idempotency-Key."""

import json
from datetime import timedelta
from typing import Any

import pytest

from nexgent import clock
from nexgent.accounts.models import TokenSession
from nexgent.api.models import IdempotentAnswer
from signals.models import Signal, SignalHook
from tests.integration.api_client import Api, signed_in
from tests.racing import together

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/signal-hooks"
MINT = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"
SIGNAL = {"tokenAddress": MINT, "signalType": "Alert", "signalStrength": 4}
KEY = {"Idempotency-Key": "alert-1"}


@pytest.fixture
def owner() -> Api:
    return signed_in("owner@example.com")


def make(owner: Api, **more: Any) -> dict[str, Any]:
    answer = owner.post(PATH, {"name": "TradingView", **more})
    assert answer.status_code == 201, answer.json()
    return answer.json()


def send(hook: dict[str, Any], message: Any = SIGNAL, *, address: str | None = None, **headers: str) -> Any:
    client = Api(address=address).client
    return client.post(hook["path"], json.dumps(message), content_type="text/plain", headers=headers)


def outcome(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def test_making_rotating_and_opening_one_further_asks_for_a_fresh_proof(owner) -> None:
    hook = make(owner)
    one = f"{PATH}/{hook['id']}"
    TokenSession.objects.update(proved_at=clock.now() - timedelta(minutes=11))
    # when
    asked = [
        owner.post(PATH, {"name": "Another"}),
        owner.post(f"{one}/rotate"),
        owner.patch(one, {"template": {}}),
        owner.patch(one, {"addresses": []}),
        owner.patch(one, {"isActive": True}),
    ]
    free = [owner.patch(one, {"name": "Alerts", "isActive": False}), owner.delete(one)]
    # then
    assert [outcome(each) for each in asked] == [(403, "STEP_UP_REQUIRED")] * 5
    assert [each.status_code for each in free] == [200, 200]
    assert not SignalHook.objects.exists()


def test_a_hook_past_its_end_is_unknown(owner) -> None:
    hook = make(owner, expiresAt=(clock.now() + timedelta(hours=1)).isoformat())
    assert send(hook).status_code == 201
    # when
    SignalHook.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    # then
    assert outcome(send(hook, {**SIGNAL, "signalStrength": 5})) == (404, "SIGNAL_HOOK_NOT_FOUND")
    renamed = owner.patch(f"{PATH}/{hook['id']}", {"name": "Old"})
    assert renamed.status_code == 200
    assert owner.patch(f"{PATH}/{hook['id']}", {"expiresAt": None}).json()["expiresAt"] is None
    assert send(hook, {**SIGNAL, "signalStrength": 5}).status_code == 201


def test_a_hook_takes_alerts_of_its_networks_only(owner) -> None:
    hook = make(owner, addresses=["52.89.214.238", "203.0.113.0/24"])
    # when
    answers = [send(hook, address=address) for address in ("198.51.100.1", "203.0.113.9")]
    # then
    assert hook["addresses"] == ["52.89.214.238/32", "203.0.113.0/24"]
    assert [outcome(each) for each in answers] == [(403, "ADDRESS_REFUSED"), (201, "")]


@pytest.mark.parametrize(
    ("body", "field"),
    [({"addresses": ["10.0.0.0/33"]}, "addresses"), ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt")],
)
def test_a_limit_that_cannot_be_names_its_field(owner, body, field) -> None:
    made, changed = owner.post(PATH, {"name": "x", **body}), owner.patch(f"{PATH}/{make(owner)['id']}", body)
    for answer in (made, changed):
        assert outcome(answer) == (400, "VALIDATION_ERROR")
        assert [error["field"] for error in answer.json()["details"]["errors"]] == [field]


def test_the_same_alert_with_its_key_gets_the_first_answer_again(owner) -> None:
    hook = make(owner)
    # when
    first, second = send(hook, **KEY), send(hook, **KEY)
    other_body = send(hook, {**SIGNAL, "signalStrength": 5}, **KEY)
    # then
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert outcome(other_body) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert Signal.objects.count() == 1
    assert hook["path"].rpartition("/")[2] not in str(list(IdempotentAnswer.objects.values_list()))


def test_a_key_belongs_to_one_hook(owner) -> None:
    one, two = make(owner), make(owner, name="Another")
    # when
    answers = [send(one, **KEY), send(two, {**SIGNAL, "signalStrength": 5}, **KEY)]
    # then
    assert [each.status_code for each in answers] == [201, 201]


def test_a_key_without_the_signature_opens_no_kept_answer(owner) -> None:
    hook = make(owner, isSigned=True)
    IdempotentAnswer.objects.create(
        principal=f"hook:{hook['id']}", route="POST /hooks", key="alert-1", body_hash="0" * 64, created_at=clock.now()
    )
    # when
    answer = send(hook, **KEY)
    # then
    assert outcome(answer) == (401, "SIGNATURE_WRONG")


def test_one_alert_with_its_key_twelve_times_at_once_is_one_signal(owner) -> None:
    hook = make(owner)
    # when
    statuses = together([lambda: send(hook, **KEY).status_code] * 12)
    # then
    assert set(statuses) <= {201, 409}
    assert statuses.count(201) >= 1
    assert Signal.objects.count() == 1
