"""Outgoing webhooks: every event once per address and number, signed, retried with patience, on record."""

import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from nexgent import clock
from nexgent.accounts.models import AuditEntry, Membership
from nexgent.events import services as events
from nexgent.events import webhook_delivery, webhook_names, webhook_queue
from nexgent.events.models import Alarm, DeliveryState, WebhookAttempt, WebhookDelivery
from tests.fakes.loopback import Fault, LoopbackServer, Query
from tests.integration.api_client import Api, signed_in
from tests.racing import together

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/webhooks"


class Receiver(LoopbackServer):
    def answer(self, path: str, query: Query, headers: dict[str, str]) -> Any:
        return {"received": True}

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]


@pytest.fixture(autouse=True)
def _loopback_may_be_called(settings: Any) -> None:
    settings.WEBHOOK_PRIVATE_ADDRESSES = True


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def owner() -> Api:
    return signed_in("owner@example.com")


@pytest.fixture
def workspace_id(owner: Api) -> UUID:
    return Membership.objects.get(user__email="owner@example.com").workspace_id


def make(owner: Api, url: str, **more: Any) -> dict[str, Any]:
    answer = owner.post(PATH, {"url": url, **more})
    assert answer.status_code == 201, answer.json()
    return answer.json()


def happen(workspace_id: UUID, *types: str) -> None:
    with transaction.atomic():
        events.append([events.NewEvent(workspace_id, kind, {"n": n}, clock.now()) for n, kind in enumerate(types)])


def make_due() -> None:
    WebhookDelivery.objects.filter(state=DeliveryState.WAITING).update(due_at=clock.now(), lease_until=None)


def test_events_are_sent_once_each_with_their_number_and_a_signature(owner, workspace_id, receiver) -> None:
    # given a webhook made after the first event
    happen(workspace_id, "signal_created")
    made = make(owner, f"{receiver.url}/in?key=1", eventTypes=["signal_created", "position_update"])
    # when three more happen, one of a type that is not wanted
    happen(workspace_id, "signal_created", "alarm_raised", "position_update")
    tried = webhook_delivery.drain()
    again = webhook_delivery.drain()
    # then
    assert (tried, again) == (2, 0)
    assert sorted((m["seq"], m["type"], m["data"]) for m in receiver.messages()) == [
        (2, "signal_created", {"n": 0}),
        (4, "position_update", {"n": 2}),
    ]
    for (path, query, headers), body in zip(receiver.requests, receiver.bodies, strict=True):
        at, code = (part.partition("=")[2] for part in headers["nexgent-signature"].split(","))
        expected = hmac.new(made["secret"].encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        assert (path, query) == ("/in", {"key": ["1"]})
        assert code == expected
        assert abs(int(at) - clock.now().timestamp()) < 30
        assert headers["host"] == receiver.url.removeprefix("http://")
    keys = {headers["idempotency-key"] for _, _, headers in receiver.requests}
    assert keys == {f"{workspace_id}:2", f"{workspace_id}:4"}


def test_a_receiver_that_answers_500_is_tried_again_later_and_then_no_more(owner, workspace_id, receiver) -> None:
    # given
    made = make(owner, receiver.url, eventTypes=["signal_created"])
    receiver.fault = Fault(status=500, body=b"\x00out of order")
    happen(workspace_id, "signal_created")
    # when it is tried as often as the rule says
    waits = []
    for _ in range(10):
        begun = clock.now()
        assert webhook_delivery.drain() == 1
        assert webhook_delivery.drain() == 0
        waits.append(round((WebhookDelivery.objects.get().due_at - begun).total_seconds()))
        make_due()
    # then
    delivery = WebhookDelivery.objects.get()
    assert waits[:9] == [5, 30, 120, 600, 1800, 3600, 10800, 21600, 43200]
    assert (delivery.state, delivery.attempts) == (DeliveryState.FAILED, 10)
    assert webhook_delivery.drain() == 0
    assert len(set(receiver.bodies)) == 1
    log = owner.get(f"{PATH}/{made['id']}/deliveries/{delivery.id}").json()
    assert [(t["status"], t["error"], t["answer"]) for t in log["tries"]] == [(500, "status 500", "out of order")] * 10
    assert Alarm.objects.get(code="WEBHOOK_FAILING").subject == made["id"]
    # when the receiver is well again and a person sends it once more
    receiver.fault = None
    assert owner.post(f"{PATH}/{made['id']}/deliveries/{delivery.id}/redeliver").json()["state"] == "waiting"
    webhook_delivery.drain()
    # then it is the same message, and the alarm ends
    assert WebhookDelivery.objects.get().state == DeliveryState.DELIVERED
    assert len(set(receiver.bodies)) == 1
    assert Alarm.objects.get(code="WEBHOOK_FAILING").cleared_at is not None


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        (Fault(status=302, headers={"Location": "/elsewhere"}, body=b""), 302, "redirects are not followed"),
        (Fault(silent_seconds=5), None, "no answer within 0.5 s"),
        (Fault(drip_seconds=0.2, body=b"x" * 400), None, "no answer within 0.5 s"),
        (Fault(cut=True), None, "RemoteProtocolError: Server disconnected without sending a response."),
    ],
)
def test_what_goes_wrong_is_on_record_and_tried_again(
    owner, workspace_id, receiver, monkeypatch, fault, status, error
) -> None:
    monkeypatch.setattr(webhook_delivery, "TIMEOUT_SECONDS", 0.5)
    make(owner, receiver.url)
    receiver.fault = fault
    happen(workspace_id, "signal_created")
    # when
    webhook_delivery.drain()
    # then
    attempt = WebhookAttempt.objects.get()
    assert (attempt.status, attempt.error) == (status, error)
    assert len(receiver.requests) == 1
    # when it is due again
    receiver.fault = None
    make_due()
    webhook_delivery.drain()
    # then
    assert WebhookDelivery.objects.get().state == DeliveryState.DELIVERED


def test_a_receiver_that_hangs_keeps_no_other_waiting(owner, workspace_id, receiver, monkeypatch) -> None:
    # given two addresses, one of which hangs
    monkeypatch.setattr(webhook_delivery, "TIMEOUT_SECONDS", 3.0)
    with Receiver() as hanging:
        hanging.fault = Fault(silent_seconds=10)
        slow = make(owner, hanging.url)
        make(owner, receiver.url)
        happen(workspace_id, *["signal_created"] * 40)
        # when two drains run
        begun = clock.now()
        drains = [threading.Thread(target=webhook_delivery.drain) for _ in range(2)]
        for drain in drains:
            drain.start()
        while len(receiver.bodies) < 5 and clock.now() - begun < timedelta(seconds=10):
            pass
        first = clock.now() - begun
        for drain in drains:
            drain.join()
    # then
    assert first < timedelta(seconds=2.5)
    assert not WebhookDelivery.objects.exclude(state=DeliveryState.DELIVERED).exclude(webhook_id=slow["id"]).exists()


@pytest.fixture
def slow_names(monkeypatch):
    """A resolver that takes three seconds for names that end in .slow, and counts how often it is asked."""
    asked, resolve = [], socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        if str(host).endswith(".slow"):
            asked.append(host)
            time.sleep(3)
        return resolve("localhost" if str(host).endswith(".slow") else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(webhook_names, "LOOKUP_SECONDS", 0.5)
    return asked


def test_names_that_resolve_slowly_keep_no_other_waiting(owner, workspace_id, receiver, slow_names) -> None:
    # given more slow names than an event loop has threads for lookups, and one quick name
    for number in range(12):
        make(owner, f"http://receiver-{number}.slow/in")
    quick = make(owner, receiver.url.replace("127.0.0.1", "localhost"))
    happen(workspace_id, "signal_created", "signal_created")
    # when
    begun = time.monotonic()
    tried = webhook_delivery.drain()
    taken = time.monotonic() - begun
    # then the quick one has its messages, the drain did not wait for the resolver, and each name was asked for once
    assert tried == 26
    assert taken < 2.5
    assert len(receiver.bodies) == 2
    assert set(WebhookDelivery.objects.filter(webhook_id=quick["id"]).values_list("state", flat=True)) == {
        DeliveryState.DELIVERED
    }
    errors = WebhookAttempt.objects.exclude(delivery__webhook_id=quick["id"]).values_list("error", flat=True)
    assert len(errors) == 24
    assert "Unreachable: receiver-0.slow was not looked up within 0.5 s" in errors
    assert sorted(slow_names) == sorted(f"receiver-{number}.slow" for number in range(12))


def test_lookups_under_way_have_an_end(owner, workspace_id, receiver, slow_names, monkeypatch) -> None:
    monkeypatch.setattr(webhook_names, "LOOKUPS_MAX", 1)
    monkeypatch.setattr(webhook_names, "_running", {})
    for number in range(2):
        make(owner, f"http://other-{number}.slow/in")
    happen(workspace_id, "signal_created")
    # when
    webhook_delivery.drain()
    # then
    assert sorted(error.partition("slow ")[2] for error in WebhookAttempt.objects.values_list("error", flat=True)) == [
        "was not looked up within 0.5 s",
        "was not looked up: too many slow names",
    ]


def test_only_public_addresses_are_called(owner, workspace_id, receiver, settings) -> None:
    settings.WEBHOOK_PRIVATE_ADDRESSES = False
    port = receiver.url.rpartition(":")[2]
    for url in (
        receiver.url,
        f"http://localhost:{port}",
        f"http://[::ffff:127.0.0.1]:{port}",
        "http://169.254.169.254",
    ):
        make(owner, url)
    happen(workspace_id, "signal_created")
    # when
    webhook_delivery.drain()
    # then
    assert receiver.requests == []
    assert {attempt.error for attempt in WebhookAttempt.objects.all()} == {
        "Unreachable: 127.0.0.1 is not a public address",
        "Unreachable: localhost is not a public address",
        "Unreachable: ::ffff:127.0.0.1 is not a public address",
        "Unreachable: 169.254.169.254 is not a public address",
    }


def test_a_claim_of_a_process_that_died_is_taken_over(owner, workspace_id, receiver) -> None:
    make(owner, receiver.url)
    happen(workspace_id, "signal_created")
    webhook_queue.enqueue(now=clock.now())
    # when a process claims and dies
    (lost,) = webhook_queue.claim(now=clock.now(), most=10)
    assert webhook_queue.claim(now=clock.now(), most=10) == []
    (taken,) = webhook_queue.claim(now=clock.now() + timedelta(seconds=61), most=10)
    # then the next one has the same message, and what the first still says does not count
    assert (taken.id, taken.body, taken.attempt) == (lost.id, lost.body, 2)
    webhook_queue.record([webhook_queue.Outcome(lost, 200, 1)], now=clock.now())
    assert WebhookDelivery.objects.get().state == DeliveryState.WAITING
    webhook_queue.record([webhook_queue.Outcome(taken, 200, 1)], now=clock.now())
    assert WebhookDelivery.objects.get().state == DeliveryState.DELIVERED


def test_drains_at_once_make_one_delivery_per_event(owner, workspace_id, receiver) -> None:
    make(owner, receiver.url)
    happen(workspace_id, *["signal_created"] * 30)
    drained = together([webhook_delivery.drain] * 2)
    assert not any(isinstance(result, Exception) for result in drained)
    webhook_delivery.drain()
    assert sorted(message["seq"] for message in receiver.messages()) == list(range(1, 31))


def test_a_webhook_that_is_off_catches_up_when_it_is_on_again(owner, workspace_id, receiver) -> None:
    made = make(owner, receiver.url)
    assert owner.patch(f"{PATH}/{made['id']}", {"isActive": False}).json()["isActive"] is False
    happen(workspace_id, "signal_created")
    assert webhook_delivery.drain() == 0
    # when
    owner.patch(f"{PATH}/{made['id']}", {"isActive": True})
    # then
    assert webhook_delivery.drain() == 1


def test_a_ping_is_sent_when_asked_for_and_a_new_secret_signs(owner, workspace_id, receiver) -> None:
    made = make(owner, receiver.url)
    secret = owner.post(f"{PATH}/{made['id']}/rotate").json()["secret"]
    # when
    answer = owner.post(f"{PATH}/{made['id']}/ping")
    webhook_delivery.drain()
    # then
    assert answer.status_code == 202
    (message,) = receiver.messages()
    assert (message["type"], message["id"], message["data"]) == ("ping", answer.json()["id"], {})
    at, code = (part.partition("=")[2] for part in receiver.requests[0][2]["nexgent-signature"].split(","))
    assert secret != made["secret"]
    body = receiver.bodies[0]
    assert code == hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://user:password@example.com"}, "url"),
        ({"url": "https://example.com/\r\nHost: x"}, "url"),
        ({"url": "https://example.com:99999"}, "url"),
        ({"url": "https://example.com/" + "x" * 1000}, "url"),
        ({"url": "https://example.com", "eventTypes": ["a b"]}, "eventTypes"),
        ({"url": "https://example.com", "eventTypes": ["bogus"]}, "eventTypes"),
        ({"url": "https://example.com", "eventTypes": "all"}, "eventTypes"),
    ],
)
def test_what_is_no_address_or_type_is_refused(owner, body, field) -> None:
    answer = owner.post(PATH, body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["details"]["errors"]] == [field]


def test_a_stranger_sees_none_of_it_and_the_secret_is_told_once(owner, receiver) -> None:
    made = make(owner, receiver.url)
    delivery = owner.post(f"{PATH}/{made['id']}/ping").json()["id"]
    stranger = signed_in("stranger@example.com")
    assert stranger.get(PATH).json() == []
    for path in ("", "/deliveries", f"/deliveries/{delivery}"):
        assert stranger.get(f"{PATH}/{made['id']}{path}").status_code == 404
    for path in ("/rotate", "/ping", f"/deliveries/{delivery}/redeliver"):
        assert stranger.post(f"{PATH}/{made['id']}{path}").status_code == 404
    assert stranger.delete(f"{PATH}/{made['id']}").status_code == 404
    # and
    assert "secret" not in owner.get(f"{PATH}/{made['id']}").json()
    assert made["secret"] not in str(list(AuditEntry.objects.filter(kind="webhook").values()))
    assert owner.delete(f"{PATH}/{made['id']}").json()["success"] is True
    assert [entry.action for entry in AuditEntry.objects.filter(kind="webhook").order_by("id")] == [
        "created",
        "deleted",
    ]


def test_finished_deliveries_go_after_seven_days(owner, workspace_id, receiver) -> None:
    make(owner, receiver.url)
    happen(workspace_id, "signal_created", "signal_created")
    webhook_delivery.drain()
    WebhookDelivery.objects.filter(seq=1).update(finished_at=clock.now() - timedelta(days=8))
    assert webhook_queue.sweep(now=clock.now()) == 2
    assert list(WebhookDelivery.objects.values_list("seq", flat=True)) == [2]


@pytest.mark.parametrize(
    ("address", "is_public"),
    [
        ("8.8.8.8", True),
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("2606:4700::1", True),
        ("::1", False),
        ("::7f00:1", False),
        ("fec0::1", False),
        ("fe80::1%eth0", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_what_counts_as_a_public_address(address, is_public) -> None:
    assert webhook_delivery._is_public(address) is is_public


def test_an_answer_is_never_unpacked(owner, workspace_id, receiver) -> None:
    make(owner, receiver.url)
    happen(workspace_id, "signal_created")
    # when
    webhook_delivery.drain()
    # then
    assert receiver.requests[0][2]["accept-encoding"] == "identity"
