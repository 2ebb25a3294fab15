"""The intake: what is accepted, what is stored in the same transaction, and the 60 s rule."""

import threading
import time
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction

from nexgent import clock
from nexgent.accounts.models import ApiKey, User, Workspace
from nexgent.errors import InvalidInput, NotFound, Refusal
from nexgent.events import bell
from nexgent.events.models import Event
from nexgent.ids import uuid7
from prices.models import Token
from signals import selectors, services
from signals.models import DuplicateGuard, Side, Signal, SignalRevision
from tests.integration.api_client import signed_in
from tests.racing import together
from tests.servers import database_url
from trading.engine import locks

MINT = "So11111111111111111111111111111111111111112"
OTHER = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
BODY = {"tokenAddress": MINT, "signalType": "BUY", "signalStrength": 3}


@pytest.fixture
def user(db):
    return User.objects.create_user("owner@example.com", "pw-for-tests-1")


@pytest.fixture
def workspace(db):
    return Workspace.objects.create(name="mine")


@pytest.fixture
def post(user, workspace):
    """Post a signal `seconds` after the test's beginning."""
    began = clock.now()

    def send(seconds=0, **changes):
        return services.accept(
            workspace_id=workspace.id,
            user_id=user.id,
            data={**BODY, **changes},
            received_at=began + timedelta(seconds=seconds),
        )

    return send


def test_a_signal_is_stored_with_its_event_and_its_token(post, user, workspace):
    signal = post(symbol=" WIF ", activationReason=" because ", source="bot", externalRef="r-1")

    stored = Signal.objects.get(id=signal.id)
    assert (stored.token_address, stored.symbol, stored.signal_type, stored.signal_strength) == (MINT, "WIF", "BUY", 3)
    assert (stored.activation_reason, stored.source, stored.external_ref) == ("because", "bot", "r-1")
    assert (stored.side, stored.dry_run, stored.revision, stored.drained_at) == ("buy", False, 1, None)
    assert (stored.user_id, stored.workspace_id, stored.received_at) == (user.id, workspace.id, signal.received_at)
    assert Token.objects.get(mint=MINT).symbol == "WIF"
    event = Event.objects.get(stream_id=workspace.id)
    assert (event.seq, event.type, event.payload["id"]) == (1, "signal_created", signal.id)
    assert event.payload["symbol"] == "WIF"
    assert event.payload["externalRef"] == "r-1"


def test_blank_texts_are_absent(post):
    signal = post(symbol="  ", activationReason="", source=None)

    stored = Signal.objects.get(id=signal.id)
    assert (stored.symbol, stored.activation_reason, stored.source) == ("", "", "")
    assert Event.objects.get().payload["symbol"] is None


def test_a_symbol_of_fifty_characters_is_stored_whole(post):
    assert Signal.objects.get(id=post(symbol="S" * 50).id).symbol == "S" * 50


def test_the_key_that_sent_a_signal_is_kept(user, workspace):
    key = ApiKey.objects.create(workspace=workspace, user=user, name="bot", prefix="nx_", key_hash="0" * 64)

    signal = services.accept(
        workspace_id=workspace.id, user_id=user.id, api_key_id=key.id, data=BODY, received_at=clock.now()
    )

    assert Signal.objects.get(id=signal.id).api_key_id == key.id


def test_that_a_signal_waits_is_said_after_the_commit(post, monkeypatch, django_capture_on_commit_callbacks):
    said = []
    monkeypatch.setattr(bell._sender, "post", lambda channel, message: said.append(channel))

    with django_capture_on_commit_callbacks(execute=True):
        post()
        assert said == []

    assert said == ["nexgent:signals", "nexgent:events"]


def test_an_accepted_signal_of_a_known_token_costs_three_statements(post, django_assert_num_queries):
    post(symbol="WIF")

    with django_assert_num_queries(3 + 2):  # and the savepoint of the test's own transaction
        second = post(seconds=60, symbol="WIF")

    assert Signal.objects.filter(id=second.id).exists()


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"tokenAddress": "   "}, ["tokenAddress"]),
        ({"tokenAddress": "not-base58"}, ["tokenAddress"]),
        ({"tokenAddress": MINT[:-1] + "0"}, ["tokenAddress"]),
        ({"tokenAddress": 5, "signalType": " ", "signalStrength": 0}, ["tokenAddress", "signalType", "signalStrength"]),
        ({"signalType": "x" * 51}, ["signalType"]),
        ({"signalStrength": 6}, ["signalStrength"]),
        ({"signalStrength": 2.5}, ["signalStrength"]),
        ({"signalStrength": "3"}, ["signalStrength"]),
        ({"signalStrength": True}, ["signalStrength"]),
        ({"signalStrength": float("nan")}, ["signalStrength"]),
        ({"symbol": "S" * 51}, ["symbol"]),
        ({"symbol": {}}, ["symbol"]),
        ({"activationReason": 5}, ["activationReason"]),
        ({"activationReason": "bad \x00 text"}, ["activationReason"]),
        ({"source": "x" * 101}, ["source"]),
        ({"side": "hold"}, ["side"]),
        ({"externalRef": ["a"]}, ["externalRef"]),
        ({"dryRun": "yes"}, ["dryRun"]),
    ],
)
def test_each_wrong_field_is_named_in_the_documented_order(post, changes, fields):
    with pytest.raises(InvalidInput) as caught:
        post(**changes)

    assert list(caught.value.problems) == fields
    assert Signal.objects.count() == DuplicateGuard.objects.count() == Token.objects.count() == 0


@pytest.mark.parametrize("body", [None, [], "text", 5])
def test_a_body_that_is_no_object_is_refused(user, workspace, body):
    with pytest.raises(InvalidInput) as caught:
        services.accept(workspace_id=workspace.id, user_id=user.id, data=body, received_at=clock.now())

    assert caught.value.status == 400


@pytest.mark.parametrize("kind", ["SELL", "sell", " Sell "])
def test_d22_a_sell_type_must_say_its_side(post, kind):
    with pytest.raises(Refusal) as caught:
        post(signalType=kind)

    assert (caught.value.code, caught.value.status) == ("SIDE_REQUIRED", 400)
    assert Signal.objects.count() == 0


def test_d22_the_side_decides_whatever_the_type_says(post):
    assert Signal.objects.get(id=post(signalType="SELL", side="sell").id).side == Side.SELL
    assert Signal.objects.get(id=post(signalType="SELL", side="buy").id).side == Side.BUY
    assert Signal.objects.get(id=post(signalType="Momentum", side="sell").id).side == Side.SELL


def test_the_same_signal_within_sixty_seconds_is_a_duplicate(post):
    first = post()

    with pytest.raises(Refusal) as caught:
        post(seconds=59.999, symbol="other", source="other", activationReason="other")

    assert (caught.value.code, caught.value.status) == ("SIGNAL_DUPLICATE", 409)
    assert caught.value.details == {"signalId": first.id}
    assert Signal.objects.count() == 1
    assert Event.objects.count() == 1


def test_after_sixty_seconds_the_same_signal_is_new_and_starts_the_time_again(post):
    first = post()
    second = post(seconds=60)

    with pytest.raises(Refusal):
        post(seconds=119)
    assert second.id > first.id
    assert DuplicateGuard.objects.get().signal_id == second.id


def test_what_makes_a_signal_another_one(post):
    post()

    post(tokenAddress=OTHER)
    post(signalType="buy")
    post(signalStrength=4)
    post(side="sell")
    post(dryRun=True)
    assert Signal.objects.count() == 6


def test_a_refused_signal_does_not_count_as_the_first(post):
    with pytest.raises(InvalidInput):
        post(symbol=5)

    assert post(seconds=1).id


def test_another_user_may_send_the_same(post, workspace):
    post()
    other = User.objects.create_user("other@example.com", "pw-for-tests-1")

    services.accept(workspace_id=workspace.id, user_id=other.id, data=BODY, received_at=clock.now())

    assert Signal.objects.count() == 2


def test_a_failure_after_the_insert_undoes_the_duplicate_rule_too(post, monkeypatch):
    def broken(_events):
        raise RuntimeError("no events today")

    with monkeypatch.context() as patch:
        patch.setattr(services.events, "append", broken)
        with pytest.raises(RuntimeError):
            post()

    assert Signal.objects.count() == DuplicateGuard.objects.count() == 0
    assert post(seconds=1).id


def test_d31_the_duplicate_rule_and_the_intake_work_without_valkey(
    post, monkeypatch, django_capture_on_commit_callbacks
):
    sender = bell._Sender()
    monkeypatch.setattr(bell, "_sender", sender)
    monkeypatch.setattr(bell, "connect", _refused_connection)

    with django_capture_on_commit_callbacks(execute=True):
        first = post()
    with pytest.raises(Refusal) as caught, django_capture_on_commit_callbacks(execute=True):
        post(seconds=30)

    assert sender.flush(5)
    assert sender.failed >= 1
    assert caught.value.code == "SIGNAL_DUPLICATE"
    assert list(Signal.objects.values_list("id", "drained_at")) == [(first.id, None)]


def _refused_connection():
    raise ConnectionError("Valkey is away")


@pytest.mark.django_db(transaction=True)
def test_d31_of_many_equal_signals_at_once_one_is_accepted():
    user = User.objects.create_user("owner@example.com", "pw-for-tests-1")
    workspace = Workspace.objects.create(name="mine")
    at = clock.now()

    def send():
        try:
            return services.accept(workspace_id=workspace.id, user_id=user.id, data=BODY, received_at=at).id
        except Refusal as refusal:
            return refusal.code

    answers = together([send] * 6)

    stored = Signal.objects.get()
    assert sorted(answers, key=str) == sorted([stored.id, *["SIGNAL_DUPLICATE"] * 5], key=str)
    assert Event.objects.filter(stream_id=workspace.id).count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_token_known", [True, False])
def test_a_signal_that_waited_too_long_for_its_double_asks_again(post, is_token_known):
    if is_token_known:
        Token.objects.create(mint=MINT)
    before, answers = locks.repeats["LockNotAvailable"], []

    def send():
        with pytest.raises(Refusal) as refused:
            post()
        answers.append(refused.value.code)
        connection.close()

    waiting = threading.Thread(target=send)
    with transaction.atomic():
        first = post()
        waiting.start()
        while locks.repeats["LockNotAvailable"] == before and waiting.is_alive():
            time.sleep(0.01)
        assert answers == []
    waiting.join()

    assert answers == ["SIGNAL_DUPLICATE"]
    assert Signal.objects.get().id == first.id


@pytest.mark.django_db(transaction=True)
def test_a_signal_whose_double_is_never_done_is_told_to_come_again():
    api = signed_in("owner@example.com")
    assert api.post("/api/v1/trading-signals", BODY).status_code == 201
    began = clock.now() - timedelta(minutes=2)
    DuplicateGuard.objects.update(at=began)
    with psycopg.connect(database_url(), autocommit=False) as other, connection.cursor() as cursor:
        other.execute("SELECT key FROM signals_duplicateguard FOR UPDATE")
        cursor.execute("SET lock_timeout = '50ms'")
        refused = api.post("/api/v1/trading-signals", BODY)
        cursor.execute("RESET lock_timeout")

    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (503, "DEPENDENCY_DOWN", "1")
    assert (Signal.objects.count(), DuplicateGuard.objects.get().at) == (1, began)
    assert api.post("/api/v1/trading-signals", BODY).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_a_signal_whose_event_cannot_be_numbered_is_not_there_and_may_come_again():
    api = signed_in("owner@example.com")
    assert api.post("/api/v1/trading-signals", BODY).status_code == 201
    again = BODY | {"signalType": "Another"}
    with psycopg.connect(database_url(), autocommit=False) as other, connection.cursor() as cursor:
        other.execute("SELECT id FROM events_stream FOR UPDATE")
        cursor.execute("SET lock_timeout = '50ms'")
        refused = api.post("/api/v1/trading-signals", again)
        cursor.execute("RESET lock_timeout")

    assert (refused.status_code, refused.json()["code"]) == (503, "DEPENDENCY_DOWN")
    assert (Signal.objects.count(), DuplicateGuard.objects.count()) == (1, 1)
    assert api.post("/api/v1/trading-signals", again).status_code == 201


def test_a_revision_keeps_what_the_signal_said_before(post, workspace):
    signal = post(symbol="WIF")

    revised = services.signal_revise(workspace_id=workspace.id, signal_id=signal.id, data={"signalStrength": 5})

    stored = Signal.objects.get(id=signal.id)
    assert (stored.signal_strength, stored.symbol, stored.revision) == (5, "WIF", 2)
    old = SignalRevision.objects.get(signal=signal)
    assert (old.number, old.content["signalStrength"], old.replaced_at) == (1, 3, revised.updated_at)
    event = Event.objects.latest("seq")
    assert (event.type, event.payload["revision"]) == ("signal_updated", 2)


def test_d22_a_revision_cannot_turn_a_buy_into_a_sell_by_its_type(post, workspace):
    signal = post()

    with pytest.raises(Refusal) as caught:
        services.signal_revise(workspace_id=workspace.id, signal_id=signal.id, data={"signalType": "SELL"})

    assert caught.value.code == "SIDE_REQUIRED"
    assert Signal.objects.get(id=signal.id).revision == 1


@pytest.mark.parametrize("data", [{"signalStrength": 9}, {"tokenAddress": "x"}, [], None])
def test_a_refused_revision_changes_nothing(post, workspace, data):
    signal = post()

    with pytest.raises(InvalidInput):
        services.signal_revise(workspace_id=workspace.id, signal_id=signal.id, data=data)

    assert Signal.objects.get(id=signal.id).revision == 1
    assert SignalRevision.objects.count() == 0


def test_a_hidden_signal_is_gone_for_everybody(post, workspace):
    signal = post()

    services.signal_hide(workspace_id=workspace.id, signal_id=signal.id)

    assert Signal.objects.get(id=signal.id).hidden_at is not None
    assert list(selectors.signals(workspace.id)) == []
    assert Event.objects.latest("seq").payload == {"id": signal.id}
    for change in (services.signal_hide, selectors.signal):
        with pytest.raises(NotFound) as caught:
            change(workspace_id=workspace.id, signal_id=signal.id)
        assert caught.value.code == "SIGNAL_NOT_FOUND"


def test_signals_belong_to_their_workspace(post):
    signal = post()

    with pytest.raises(NotFound):
        selectors.signal(uuid7(), signal.id)
    with pytest.raises(NotFound):
        services.signal_revise(workspace_id=uuid7(), signal_id=signal.id, data={"signalStrength": 5})


def test_signals_are_listed_newest_first_and_filtered(post, workspace):
    first = post()
    second = post(tokenAddress=OTHER, signalType="Momentum")

    assert [s.id for s in selectors.signals(workspace.id)] == [second.id, first.id]
    assert [s.id for s in selectors.signals(workspace.id, token_address=MINT)] == [first.id]
    assert [s.id for s in selectors.signals(workspace.id, signal_type="Momentum")] == [second.id]
    assert [s.id for s in selectors.signals(workspace.id, start=second.created_at)] == [second.id]
    assert [s.id for s in selectors.signals(workspace.id, end=first.created_at)] == [first.id]
