"""Signal intake over REST: shapes, keys, limits, idempotency, statements per request."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from nexgent.accounts import services
from nexgent.api import throttling
from nexgent.api.models import IdempotentAnswer
from signals.models import Signal
from tests.integration.api_client import Api, sign_up, signed_in
from tests.racing import together

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/trading-signals"
MINT = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"
OTHER_MINT = "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN"
BODY = {"tokenAddress": MINT, "signalType": "Velocity", "signalStrength": 4, "symbol": "BONK"}
FIELDS = {
    "id",
    "createdAt",
    "updatedAt",
    "tokenAddress",
    "symbol",
    "signalType",
    "activationReason",
    "signalStrength",
    "source",
}


def key_client(email="bot@example.com", scopes=("signals",)):
    user = sign_up(email)
    workspace_id = user.memberships.get().workspace_id
    return Api(services.api_key_create(user_id=user.id, workspace_id=workspace_id, name="bot", scopes=scopes).raw)


def test_a_signal_is_durable_with_the_201_and_has_the_reference_fields():
    api = key_client()

    answer = api.post(PATH, BODY)

    body = answer.json()
    assert answer.status_code == 201
    assert set(body) >= FIELDS
    assert isinstance(body["id"], int)
    assert (body["tokenAddress"], body["signalType"], body["signalStrength"]) == (MINT, "Velocity", 4)
    assert (body["symbol"], body["source"], body["activationReason"]) == ("BONK", None, None)
    assert body["side"] == "buy"
    stored = Signal.objects.get(id=body["id"])
    assert stored.api_key_id is not None
    assert stored.received_at <= stored.created_at


@pytest.mark.parametrize("header", ["bearer", "x-api-key"])
def test_a_key_is_taken_from_either_header(header):
    raw = key_client().headers["Authorization"].removeprefix("Bearer ")

    api = Api(raw) if header == "bearer" else Api()
    extra = {} if header == "bearer" else {"X-API-Key": raw}

    assert api.post(PATH, BODY, **extra).status_code == 201


def test_intake_costs_at_most_six_statements():
    api = key_client()
    api.post(PATH, BODY)

    with CaptureQueriesContext(connection) as captured:
        answer = api.post(PATH, {**BODY, "signalStrength": 5})

    assert answer.status_code == 201
    work = [q["sql"] for q in captured if q["sql"].split()[0] not in ("BEGIN", "COMMIT")]
    assert len(work) <= 6, work


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tokenAddress": None}, "tokenAddress"),
        ({"tokenAddress": ""}, "tokenAddress"),
        ({"tokenAddress": "not-base58"}, "tokenAddress"),
        ({"tokenAddress": MINT.lower()}, "tokenAddress"),
        ({"tokenAddress": "x" * 10_000}, "tokenAddress"),
        ({"tokenAddress": [MINT]}, "tokenAddress"),
        ({"signalType": ""}, "signalType"),
        ({"signalType": "x" * 51}, "signalType"),
        ({"signalType": 7}, "signalType"),
        ({"signalStrength": 0}, "signalStrength"),
        ({"signalStrength": 6}, "signalStrength"),
        ({"signalStrength": -1}, "signalStrength"),
        ({"signalStrength": 2.5}, "signalStrength"),
        ({"signalStrength": "4"}, "signalStrength"),
        ({"signalStrength": True}, "signalStrength"),
        ({"symbol": "x" * 51}, "symbol"),
        ({"source": "x" * 101}, "source"),
        ({"side": "hold"}, "side"),
    ],
)
def test_a_wrong_signal_names_its_field_and_stores_nothing(change, field):
    answer = key_client().post(PATH, {**BODY, **change})

    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert [error["field"] for error in answer.json()["details"]["errors"]] == [field]
    assert Signal.objects.count() == 0


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ("", 400),
        ("{", 400),
        ("[]", 400),
        ("null", 400),
        ('"text"', 400),
        (b"\xff\xfe", 400),
        ('{"tokenAddress": "a\\u0000b"}', 400),
        ('{"tokenAddress": "\\ud800"}', 400),
        ('{"signalStrength": NaN}', 400),
        ('{"signalStrength": 1' + "0" * 5000 + "}", 400),
        ("[" * 100_000, 400),
        ('{"activationReason": "' + "x" * 1_100_000 + '"}', 413),
    ],
)
def test_bodies_that_are_no_json_of_ours_are_refused(raw, status):
    answer = key_client().post(PATH, raw)

    assert answer.status_code == status
    assert {"error", "code", "details", "requestId"} <= set(answer.json())


def test_another_content_type_is_415_and_another_method_405():
    api = key_client()

    form = api.client.post(PATH, {"tokenAddress": MINT}, headers=api.headers)
    method = api.patch(PATH, BODY)
    unknown = api.get("/api/v1/nothing-here")

    assert (form.status_code, form.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert (method.status_code, method.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "NOT_FOUND")
    for answer in (form, method, unknown):
        assert set(answer.json()) == {"error", "code", "details", "requestId"}


def test_a_sell_type_without_a_side_is_refused():
    answer = key_client().post(PATH, {**BODY, "signalType": "sell"})

    assert (answer.status_code, answer.json()["code"]) == (400, "SIDE_REQUIRED")


def test_the_same_signal_within_a_minute_is_a_duplicate():
    api = key_client()

    first, second = api.post(PATH, BODY), api.post(PATH, {**BODY, "symbol": "OTHER"})

    assert first.status_code == 201
    assert (second.status_code, second.json()["code"]) == (409, "SIGNAL_DUPLICATE")
    assert second.json()["details"]["signalId"] == first.json()["id"]


def test_an_idempotency_key_is_looked_at_before_the_duplicate_rule():
    api = key_client()
    key = {"Idempotency-Key": "order-1"}

    first, again = api.post(PATH, BODY, **key), api.post(PATH, BODY, **key)
    reordered = api.post(PATH, dict(reversed(BODY.items())), **key)
    other = api.post(PATH, {**BODY, "signalStrength": 5}, **key)

    assert (first.status_code, again.status_code, reordered.status_code) == (201, 201, 201)
    assert again.content == first.content == reordered.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert Signal.objects.count() == 1


def test_a_refused_request_does_not_use_up_its_key():
    api = key_client()
    key = {"Idempotency-Key": "order-2"}

    refused = api.post(PATH, {**BODY, "signalStrength": 9}, **key)
    accepted = api.post(PATH, BODY, **key)

    assert (refused.status_code, accepted.status_code) == (400, 201)
    assert IdempotentAnswer.objects.count() == 1


def test_keys_of_two_principals_do_not_meet():
    one, two = key_client("one@example.com"), key_client("two@example.com")
    key = {"Idempotency-Key": "same"}

    answers = [one.post(PATH, BODY, **key), two.post(PATH, BODY, **key)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] != answers[1].json()["id"]


@pytest.mark.parametrize("key", ["", " ", "x" * 201, "naïve"])
def test_a_malformed_idempotency_key_is_refused(key):
    answer = key_client().post(PATH, BODY, **{"Idempotency-Key": key})

    assert answer.status_code == 400
    assert Signal.objects.count() == 0


def test_one_of_many_equal_requests_at_once_acts():
    raw = key_client().headers["Authorization"].removeprefix("Bearer ")

    answers = together([lambda: Api(raw).post(PATH, BODY, **{"Idempotency-Key": "race"})] * 8)

    statuses = sorted(answer.status_code for answer in answers)
    assert Signal.objects.count() == 1
    assert set(statuses) <= {201, 409}
    assert 201 in statuses
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"IDEMPOTENCY_IN_PROGRESS"}


def test_intake_is_limited_per_principal(monkeypatch):
    from signals import api as signals_api

    monkeypatch.setitem(signals_api.Signals.throttles, "POST", (throttling.limit("signals-test", 3),))
    one, two = key_client("one@example.com"), key_client("two@example.com")

    statuses = [one.post(PATH, {**BODY, "signalStrength": n}).status_code for n in (1, 2, 3, 4)]

    assert statuses == [201, 201, 201, 429]
    assert one.get(PATH).status_code == 200
    assert two.post(PATH, BODY).status_code == 201


def test_signals_are_listed_filtered_and_only_ones_own():
    api, other = key_client("one@example.com"), key_client("two@example.com")
    first = api.post(PATH, BODY).json()
    second = api.post(PATH, {**BODY, "tokenAddress": OTHER_MINT, "signalType": "Ignition"}).json()
    other.post(PATH, BODY)

    def ids(**query):
        return [row["id"] for row in api.get(PATH, query).json()]

    assert ids() == [second["id"], first["id"]]
    assert ids(tokenAddress=MINT) == [first["id"]]
    assert ids(signalType="Ignition") == [second["id"]]
    assert ids(limit=1) == [second["id"]]
    assert ids(limit=1, offset=1) == [first["id"]]
    assert ids(startDate=second["createdAt"][:10]) == [second["id"], first["id"]]
    assert ids(endDate="2020-01-01") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "-1"),
        ("limit", "ten"),
        ("limit", "1e3"),
        ("limit", "9" * 40),
        ("offset", "-1"),
        ("offset", "9" * 18),
        ("startDate", "yesterday"),
        ("endDate", "2026-13-45"),
        ("tokenAddress", "x" * 300),
        ("signalType", "a\x00b"),
    ],
)
def test_wrong_query_values_are_400(name, value):
    answer = key_client().get(PATH, {name: value})

    assert answer.status_code == 400
    assert answer.json()["details"]["errors"][0]["field"] == name


def test_a_signal_is_read_revised_hidden_and_invisible_to_others():
    api, other = key_client("one@example.com"), key_client("two@example.com")
    path = f"{PATH}/{api.post(PATH, BODY).json()['id']}"

    assert api.get(path).status_code == 200
    assert {other.get(path).status_code, other.put(path, {}).status_code, other.delete(path).status_code} == {404}
    assert other.get(path + "/executions").status_code == 404
    revised = api.put(path, {"signalStrength": 2})
    assert (revised.status_code, revised.json()["signalStrength"], revised.json()["revision"]) == (200, 2, 2)
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
    assert api.delete(path).status_code == 404
    assert api.get(f"{PATH}/all").status_code == 400
    assert api.get(f"{PATH}/{10**30}").status_code == 400
    assert api.get(f"{PATH}/{2**63 - 1}").status_code == 404


def test_executions_begin_empty():
    api = key_client()
    signal = api.post(PATH, BODY).json()

    answer = api.get(f"{PATH}/{signal['id']}/executions")

    assert (answer.status_code, answer.json()) == (200, [])


def test_trailing_slash_and_any_accept_header_are_tolerated():
    api = signed_in("slash@example.com")

    assert api.get(PATH + "/", Accept="text/html").json() == []
