"""The OpenAPI text: complete, valid, served with a tag, and readable as a page."""

import ast
import inspect
import sys

import pytest
from django.test import Client
from drf_spectacular.validation import validate_schema

from nexgent.api import document, reference

READERS = {"text", "choice", "integer", "flag", "moment", "uuid_param"}


def operations():
    for path, methods in document.document()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_route_of_the_api_is_described():
    assert document.undescribed() == []


def test_the_text_is_openapi_3_1():
    text = document.document()

    assert text["openapi"].startswith("3.1")
    validate_schema(text)


def test_every_operation_has_a_summary_a_tag_an_answer_and_its_refusals():
    lacking = []
    for name, operation in operations():
        good = {status: answer for status, answer in operation["responses"].items() if int(status) < 400}
        content = [answer for status, answer in good.items() if status not in ("204", "304")]
        has_schema = all("schema" in next(iter(answer["content"].values())) for answer in content)
        refuses = {status for status in operation["responses"] if int(status) >= 400}
        is_closed = not operation["security"] or {"401", "403"} <= refuses
        if not (operation["summary"] and operation["tags"] and has_schema and refuses and is_closed):
            lacking.append(name)

    assert lacking == []


def test_ids_of_operations_are_unique_and_links_lead_to_them():
    ids = [operation["operationId"] for _, operation in operations()]
    targets = {
        link["operationId"]
        for _, operation in operations()
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    }

    assert len(ids) == len(set(ids)) > 60
    assert targets <= set(ids)
    assert len(targets) > 5


def test_every_query_parameter_that_is_read_is_declared():
    modules = {sys.modules[route.endpoint.__module__] for route in document.routes() if route.endpoint}
    undeclared = []
    for module in modules:
        declared = {
            param.name
            for route in document.routes()
            if route.endpoint and route.endpoint.__module__ == module.__name__ and route.operation
            for param in route.operation.query
        }
        undeclared += [f"{module.__name__}: {name}" for name in _read_in(module) if name not in declared]

    assert undeclared == []


def _read_in(module):
    """The names in `query.text(request, "name")` and its like."""
    for call in ast.walk(ast.parse(inspect.getsource(module))):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in READERS):
            continue
        if isinstance(call.func.value, ast.Name) and call.func.value.id == "query" and len(call.args) > 1:
            name = call.args[1]
            if isinstance(name, ast.Constant):
                yield name.value


@pytest.mark.django_db
def test_the_text_is_public_cached_and_not_sent_twice():
    first = Client().get("/api/v1/openapi.json")
    again = Client().get("/api/v1/openapi.json", headers={"If-None-Match": first.headers["ETag"]})

    assert first.status_code == 200
    assert first.json()["info"]["title"] == "Nexgent"
    assert first.headers["Cache-Control"] == "public, max-age=300"
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]


@pytest.mark.django_db
def test_the_page_shows_every_operation_with_its_curl_line():
    page = Client().get("/api/v1/docs")
    shown = [entry for found in reference.entries().values() for entry in found]

    assert page.status_code == 200
    assert len(shown) == len(list(operations()))
    text = page.content.decode()
    assert all(f'id="{entry.id}"' in text for entry in shown)
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    signal = next(entry for entry in shown if entry.id == "createSignal")
    assert signal.curl.startswith('curl -s -X POST "$NEXGENT/trading-signals" -H "Authorization: Bearer $TOKEN"')
    assert {field.name for field in signal.body if field.is_required} == {
        "tokenAddress",
        "signalType",
        "signalStrength",
    }
