"""Every case of the contract against the real stack: Django, PostgreSQL, Valkey."""

import json
import re
from contextlib import nullcontext
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from tests.contract import golden
from tests.contract.cases import ABSENT, Case, filled, url_of
from tests.contract.collected import NUMBERS, everything
from tests.contract.table import rows, served
from tests.contract.world import World, needs_commits
from tests.executing import executing
from tests.integration.api_client import ADDRESSES

CASES = everything()
NO_GOLDEN = (
    *("GET /docs", "GET /openapi.json", "GET /metrics", "GET root:/metrics"),
    *(f"GET /stream/{topic}" for topic in ("portfolio", "positions", "signals", "trades")),
)
"""Pages, figures and streams; the OpenAPI text has tests of its own."""
ERROR_FIELDS = ["error", "code", "details", "requestId"]


def is_committed(case: Case) -> bool:
    return case.committed or needs_commits(case.names) or any(is_committed(first) for first in case.first)


ROLLED_BACK = [case for case in CASES if not is_committed(case)]
COMMITTED = [case for case in CASES if is_committed(case)]


@pytest.mark.django_db
@pytest.mark.parametrize("case", ROLLED_BACK, ids=lambda case: case.id)
def test_case(case: Case, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(case, World(settings, monkeypatch)).status_code == case.status


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("case", COMMITTED, ids=lambda case: case.id)
def test_case_that_trades(case: Case, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with executing() if case.is_sold else nullcontext():
        assert run(case, World(settings, monkeypatch)).status_code == case.status


def run(case: Case, world: World) -> Any:
    """The answer of the case, held against all that the case says of it."""
    with world.afterwards:
        return _run(case, world)


def _run(case: Case, world: World) -> Any:
    with connection.cursor() as cursor:  # signals are numbered: the same numbers in every run
        cursor.execute("SELECT setval('signals_signal_id_seq', 100)")
    for name in case.uses:
        assert world[name]
    if case.given is not None:
        case.given(world)
    for first in case.first:
        answer = send(first, world)
        assert answer.status_code == first.status, answer.content
    if case.between is not None:
        case.between(world)
    answers = [send(case, world) for _ in range(case.repeat)]
    verify(case, world, answers[-1])
    return answers[-1]


def send(case: Case, world: World) -> Any:
    """The request itself; `repeat` requests of one case share the client and so the address."""
    client = world.client(case.who)
    url = url_of(case, world)
    headers = {**client.headers, **filled(dict(case.headers), world)}
    query = {name: str(item) for name, item in filled(dict(case.query), world).items()}
    body = filled(case.body, world)
    if case.method == "GET":
        return client.client.get(url, query, headers=headers)
    data = body if isinstance(body, bytes) else json.dumps(body) if body is not None else b""
    content_type = headers.pop("Content-Type", "application/json")
    return getattr(client.client, case.method.lower())(
        url, data, content_type=content_type, headers=headers, query_params=query
    )


def verify(case: Case, world: World, answer: Any) -> None:
    assert answer.status_code == case.status, golden.text_of(answer)
    if case.status >= 400 and answer.headers.get("Content-Type", "").startswith("application/json"):
        verify_error(case, answer)
    elif case.golden and case.status not in (204, 301, 302):
        golden.compare(case, answer)
    if case.check is not None:
        case.check(world, answer)


def verify_error(case: Case, answer: Any) -> None:
    """The one shape of errors, the code, and the fields that a wrong body must name."""
    body = answer.json()
    if "status" in body or "ready" in body:  # health answers with what it found
        return
    assert list(body)[:4] == ERROR_FIELDS
    assert body["error"]
    assert body["code"] == body["code"].upper()
    assert body["requestId"] == answer.headers["X-Request-Id"]
    if case.code:
        assert body["code"] == case.code
    if body["code"] == "VALIDATION_ERROR":
        assert body["success"] is False
        named = [error["field"] for error in body["details"]["errors"]]
        assert set(case.fields) <= set(named), named
    if answer.status_code == 429:
        assert 1 <= body["retryAfter"] <= 60
        assert answer.headers["Retry-After"] == str(body["retryAfter"])


def test_every_route_of_the_product_is_in_the_table_and_the_other_way_round() -> None:
    assert sorted(served()) == sorted(rows())


def test_every_promised_status_has_a_case() -> None:
    tested = {(case.route, case.status) for case in CASES}
    missing = [
        f"{row.route} {status}"
        for row in rows().values()
        for status in row.statuses
        if not row.pending and (row.route, status) not in tested
    ]

    assert missing == []


def test_every_case_is_about_a_promised_status() -> None:
    table = rows()
    unknown = [case.id for case in CASES if case.route not in table or case.status not in table[case.route].statuses]

    assert unknown == []


def test_every_golden_file_belongs_to_a_case() -> None:
    wanted = {golden.file_of(case).name for case in CASES if case.golden and case.status < 300}

    assert sorted(file.name for file in golden.FOLDER.glob("*.json") if file.name not in wanted) == []


def test_every_answer_in_json_has_a_golden_file() -> None:
    compared = {case.route for case in CASES if case.golden and case.status < 300}
    answered = {row.route for row in rows().values() if {200, 201, 202} & set(row.statuses)}

    assert sorted(answered - compared) == sorted(NO_GOLDEN)


@pytest.mark.django_db
@pytest.mark.parametrize("path", sorted({route.split(" ", 1)[1] for route in rows()}))
def test_a_method_that_a_route_does_not_have_is_405(path: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    has = {route.split(" ", 1)[0] for route in rows() if route.split(" ", 1)[1] == path}
    case = Case(f"GET {path}", 405)
    url = re.sub(r":(\w+)", lambda match: NUMBERS.get(match[1], ABSENT), case.template)
    client = Client(REMOTE_ADDR=next(ADDRESSES))
    admin = World(settings, monkeypatch).client("admin")

    for method in sorted({"GET", "POST", "PUT", "PATCH", "DELETE"} - has):
        answer = getattr(client, method.lower())(url, headers=admin.headers)
        assert answer.status_code == 405, method
