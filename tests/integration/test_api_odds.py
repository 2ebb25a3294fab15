"""Small promises of the API that once did not hold: a tag of what stands still, names of ids, types that exist."""

import ast
from pathlib import Path

import pytest

from nexgent.events.types import EVENT_TYPES
from tests.integration.api_client import signed_in
from wallets import services as wallets
from wallets.models import Wallet

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[2]
BALANCES = "/api/v1/ledger/balances"


@pytest.fixture
def owner():
    return signed_in("owner@example.com")


@pytest.fixture
def wallet(owner):
    agent = owner.post("/api/v1/agents", {"name": "Momentum", "profile": "ideal"}).json()["id"]
    wallet = Wallet.objects.get(assignments__agent=agent)
    wallets.deposit(wallet_id=wallet.id, lamports=10**9, author="test")
    return wallet


def test_balances_that_stand_still_are_304_and_others_not(owner, wallet):
    query = {"walletAddress": wallet.address}
    first = owner.get(BALANCES, query)

    again = owner.get(BALANCES, query, **{"If-None-Match": first.headers["ETag"]})
    wallets.deposit(wallet_id=wallet.id, lamports=1, author="test")
    changed = owner.get(BALANCES, query, **{"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert changed.status_code == 200
    assert changed.json()[0]["balance"] == "1.000000001"


@pytest.mark.parametrize(("path", "field"), [("api-keys", "keyId"), ("signal-hooks", "hookId")])
def test_a_wrong_id_is_named_as_in_the_route(owner, path, field):
    answer = owner.get(f"/api/v1/{path}/zzz")

    assert [error["field"] for error in answer.json()["details"]["errors"]] == [field]


def test_an_absent_key_is_an_api_key(owner):
    answer = owner.get("/api/v1/api-keys/018f0000-0000-7000-8000-000000000009")

    assert (answer.json()["error"], answer.json()["code"]) == ("API key not found.", "API_KEY_NOT_FOUND")


def test_a_body_nested_too_deeply_is_refused_in_words_of_ours(owner):
    answer = owner.post("/api/v1/agents", "[" * 5_000)

    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert answer.json()["error"] == "The body is not valid JSON: it is nested more than 32 levels deep"


def test_webhooks_choose_among_all_types_that_are_appended():
    appended = set()
    for app in ("nexgent", "agents", "prices", "signals", "trading", "wallets"):
        for path in (ROOT / app).rglob("*.py"):
            appended |= _types_in(ast.parse(path.read_text()))

    assert appended == set(EVENT_TYPES)


def _types_in(tree):
    """The texts that are handed on as an event's type: the second argument of `NewEvent` and of what wraps it."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or getattr(node.func, "attr", getattr(node.func, "id", "")) not in _MAKERS:
            continue
        given = [node.args[1]] if len(node.args) > 1 else []
        given += [keyword.value for keyword in node.keywords if keyword.arg == "type"]
        found |= {each.value for each in given if isinstance(each, ast.Constant)}
    return found


_MAKERS = ("NewEvent", "_tell")
