"""Incoming webhooks: an alert at a secret address becomes a signal; signed ones once, and not for long."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from nexgent import clock
from nexgent.accounts.models import AuditEntry, Membership, Role, User
from signals import hooks
from signals.models import SeenMessage, Signal, SignalHook
from tests.integration.api_client import Api, signed_in
from tests.racing import together
from tests.trader import tape_clock

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/signal-hooks"
MINT = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"
TEMPLATE = {
    "tokenAddress": "{{mint}}",
    "signalType": "TradingView {{interval}}",
    "signalStrength": 4,
    "side": {"from": "{{action}}", "map": {"buy": "buy", "sell": "sell"}},
}
ALERT = {"mint": MINT, "action": "buy", "interval": "15"}


@pytest.fixture
def owner() -> Api:
    return signed_in("owner@example.com")


def make(owner: Api, **more: Any) -> dict[str, Any]:
    answer = owner.post(PATH, {"name": "TradingView", "template": TEMPLATE, **more})
    assert answer.status_code == 201, answer.json()
    return answer.json()


@pytest.fixture
def standing_clock() -> Iterator[None]:
    """Time stands still, so that a message a second beyond the window is still beyond it when it arrives."""
    with tape_clock(clock.now()):
        yield


def send(hook: dict[str, Any], message: Any = ALERT, *, at: float | None = None, **headers: str) -> Any:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    if hook["secret"] and not headers:
        seconds = int(clock.now().timestamp() if at is None else at)
        code = hmac.new(hook["secret"].encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
        headers["Nexgent-Signature"] = f"t={seconds},v1={code}"
    return Api().client.post(hook["path"], body, content_type="text/plain", headers=headers)


def test_an_alert_in_plain_text_becomes_a_signal_of_the_hooks_maker(owner) -> None:
    hook = make(owner)
    # when
    answer = send(hook)
    # then
    assert answer.status_code == 201, answer.json()
    signal = Signal.objects.get(id=answer.json()["id"])
    assert (signal.token_address, signal.signal_type, signal.signal_strength) == (MINT, "TradingView 15", 4)
    assert (signal.side, signal.source) == ("buy", "TradingView")
    assert signal.user.email == "owner@example.com"
    assert send(hook).json()["code"] == "SIGNAL_DUPLICATE"


def test_a_hook_without_a_template_takes_signals_as_they_are(owner) -> None:
    hook = make(owner, template={})
    assert send(hook, {"tokenAddress": MINT, "signalType": "A", "signalStrength": 2}).status_code == 201
    assert send(hook, {"tokenAddress": "x", "signalType": "B", "signalStrength": 2}).status_code == 400


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (b"", ""),
        (b"Breakout!", ""),
        (b"[1]", ""),
        (b'{"mint": NaN}', ""),
        (b'{"mint": "a\\u0000"}', ""),
        (b"[" * 5000, ""),
        ({**ALERT, "action": "hold"}, "side"),
        ({**ALERT, "mint": MINT.lower()}, "tokenAddress"),
    ],
)
def test_a_message_that_makes_no_signal_is_refused_and_leaves_nothing(owner, message, field) -> None:
    answer = send(make(owner), message)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert [error["field"] for error in answer.json()["details"]["errors"]] == [field]
    assert not Signal.objects.exists()


def test_a_large_message_is_refused(owner) -> None:
    answer = send(make(owner), {**ALERT, "more": "x" * 70_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.usefixtures("standing_clock")
def test_a_signed_hook_believes_young_messages_with_its_signature_once(owner) -> None:
    hook = make(owner, isSigned=True, windowSeconds=60)
    now = clock.now().timestamp()
    # when
    codes = [
        send(hook, at=now - 61).json()["code"],
        send(hook, at=now + 61).json()["code"],
        send({**hook, "secret": hook["secret"] + "x"}).json()["code"],
        send(hook, **{"Nexgent-Signature": "t=1,v1=00"}).json()["code"],
        send(hook, **{"X-Other": "none"}).json()["code"],
    ]
    # then
    assert codes == ["SIGNATURE_EXPIRED"] * 2 + ["SIGNATURE_WRONG"] * 3
    assert send(hook, at=now - 30).status_code == 201
    assert (send(hook, at=now - 30).status_code, send(hook, at=now - 30).json()["code"]) == (409, "MESSAGE_SEEN")
    assert Signal.objects.count() == 1


def test_a_signed_message_that_was_refused_may_come_again(owner) -> None:
    hook = make(owner, isSigned=True)
    wrong = {**ALERT, "action": "hold"}
    at = clock.now().timestamp()
    assert [send(hook, wrong, at=at).status_code for _ in range(2)] == [400, 400]
    assert not SeenMessage.objects.exists()


def test_the_same_signed_message_at_once_is_one_signal(owner) -> None:
    hook = make(owner, isSigned=True)
    at = clock.now().timestamp()
    statuses = together([lambda: send(hook, at=at).status_code] * 6)
    assert sorted(statuses) == [201] + [409] * 5
    assert Signal.objects.count() == 1


def test_old_messages_are_forgotten_when_they_would_not_be_believed_anyway(owner) -> None:
    send(make(owner, isSigned=True, windowSeconds=60))
    assert hooks.sweep(now=clock.now() + timedelta(seconds=55)) == 0
    assert hooks.sweep(now=clock.now() + timedelta(seconds=65)) == 1


def test_a_hook_ends_by_switch_rotation_deletion_and_with_the_rights_of_its_maker(owner) -> None:
    hook = make(owner)
    path = f"{PATH}/{hook['id']}"
    # switched off and on
    owner.patch(path, {"isActive": False})
    assert (send(hook).status_code, send(hook).json()["code"]) == (404, "SIGNAL_HOOK_NOT_FOUND")
    owner.patch(path, {"isActive": True})
    # its maker may only look on
    Membership.objects.update(role=Role.VIEWER)
    assert send(hook).status_code == 404
    Membership.objects.update(role=Role.OWNER)
    User.objects.update(is_active=False)
    assert send(hook).status_code == 404
    User.objects.update(is_active=True)
    # a new path
    rotated = owner.post(f"{path}/rotate").json()
    assert (send(hook).status_code, send(rotated).status_code) == (404, 201)
    # gone
    assert owner.delete(path).json()["success"] is True
    assert send(rotated).status_code == 404


def test_path_and_secret_are_told_once_and_kept_as_hash_and_seal(owner) -> None:
    hook = make(owner, isSigned=True)
    token = hook["path"].rpartition("/")[2]
    stored = SignalHook.objects.get()
    assert stored.path_hash == hashlib.sha256(token.encode()).hexdigest()
    assert hook["secret"] not in stored.secret
    assert set(hook) - set(owner.get(f"{PATH}/{hook['id']}").json()) == {"path", "secret"}
    trail = str(list(AuditEntry.objects.filter(kind="signal_hook").values()))
    assert stored.path_hash not in trail
    assert stored.secret not in trail


def test_a_preview_shows_the_signal_and_keeps_nothing(owner) -> None:
    answer = owner.post(f"{PATH}/preview", {"template": TEMPLATE, "message": ALERT})
    assert answer.json() == {
        "tokenAddress": MINT,
        "signalType": "TradingView 15",
        "signalStrength": 4,
        "side": "buy",
    }
    refused = owner.post(f"{PATH}/preview", {"template": {"price": 1}, "message": ALERT})
    assert refused.json()["details"]["errors"][0]["field"] == "template.price"
    assert not Signal.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"template": {"price": 1}}, "template.price"),
        ({"windowSeconds": 9}, "windowSeconds"),
        ({"windowSeconds": 3601}, "windowSeconds"),
        ({"isSigned": "yes"}, "isSigned"),
    ],
)
def test_a_hook_that_cannot_be_is_refused(owner, body, field) -> None:
    answer = owner.post(PATH, {"name": "x", **body})
    assert answer.status_code == 400
    assert answer.json()["details"]["errors"][0]["field"] == field


def test_a_hook_belongs_to_its_workspace(owner) -> None:
    hook = make(owner)
    stranger = signed_in("stranger@example.com")
    path = f"{PATH}/{hook['id']}"
    assert stranger.get(PATH).json() == []
    statuses = [stranger.get(path), stranger.patch(path), stranger.delete(path), stranger.post(f"{path}/rotate")]
    assert [answer.status_code for answer in statuses] == [404] * 4


def test_a_hook_takes_as_many_alerts_as_any_sender_of_signals(owner, monkeypatch) -> None:
    from signals.hooks_api import PerHook

    monkeypatch.setattr(PerHook, "per_minute", 2)
    hook, client = make(owner), Api().client
    statuses = [client.post(hook["path"], b"{}", content_type="text/plain").status_code for _ in range(3)]
    assert statuses == [400, 400, 429]


def test_the_limit_is_the_hook_s_wherever_its_alerts_come_from(owner, monkeypatch) -> None:
    from signals.hooks_api import PerHook

    monkeypatch.setattr(PerHook, "per_minute", 2)
    hook, other = make(owner), make(owner)
    statuses = [send(hook, b"{}").status_code for _ in range(3)]
    assert statuses == [400, 400, 429]
    assert send(other, b"{}").status_code == 400


def test_a_sender_s_own_credentials_are_none_of_ours(owner) -> None:
    assert send(make(owner), Authorization="Basic Zm9vOmJhcg==").status_code == 201


def test_a_hook_of_a_member_who_was_limited_sends_no_more(owner) -> None:
    hook = make(owner)
    Membership.objects.update(role=Role.TRADER, is_limited=True)
    assert send(hook).status_code == 404
    Membership.objects.update(is_limited=False)
    assert send(hook).status_code == 201


def test_numbers_that_no_signal_has_are_refused(owner) -> None:
    fraction = owner.post(PATH, {"name": "hook", "template": {"signalStrength": 4.5}})
    hook = make(owner, template={"tokenAddress": MINT, "signalType": "A", "signalStrength": "{{strength}}"})
    endless = send(hook, {"strength": "9" * 5000})
    assert [error["field"] for error in fraction.json()["details"]["errors"]] == ["template.signalStrength"]
    assert [error["field"] for error in endless.json()["details"]["errors"]] == ["signalStrength"]


def test_a_rename_does_not_switch_on_what_was_switched_off_at_the_same_time(owner) -> None:
    hook_id, is_off = make(owner)["id"], threading.Event()

    def switches_off() -> None:
        with transaction.atomic():
            SignalHook.objects.filter(id=hook_id).update(is_active=False)
            is_off.set()
            time.sleep(0.3)  # the rename comes meanwhile

    def renames() -> int:
        assert is_off.wait(5)
        return owner.patch(f"{PATH}/{hook_id}", {"name": "Another"}).status_code

    # when
    assert together([switches_off, renames]) == [None, 200]
    # then
    hook = SignalHook.objects.get(id=hook_id)
    assert (hook.name, hook.is_active) == ("Another", False)
