"""The audit log as it goes out: the API's names, times and routes, no hash, no path or query of an address."""

import re

import pytest
from django.test import Client

from nexgent.accounts.audit_wire import facts_wire, route_wire
from nexgent.accounts.models import User
from tests.integration.api_client import signed_in

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def api(transactional_db):
    return signed_in("owner@example.com")


def logged(api, kind):
    return api.get("/api/v1/audit-log", {"kind": kind}).json()


def test_an_agent_is_told_in_the_words_of_the_api(api):
    api.post("/api/v1/agents", {"name": "Momentum"})

    after = logged(api, "agent")[0]["after"]

    assert (after["automatedTradingSimulation"], after["exitsEnabledLive"]) == (True, True)
    assert TIME.fullmatch(after["createdAt"])
    assert not [name for name in after if "_" in name]


def test_a_key_is_told_without_its_hash_and_its_end_by_time_and_route(api):
    key = api.post("/api/v1/api-keys", {"name": "Bot", "scopes": ["signals"], "requiresSignature": True}).json()
    api.post(f"/api/v1/api-keys/{key['id']}/rotate")
    api.delete(f"/api/v1/api-keys/{key['id']}")

    ended, rotated, made = logged(api, "api_key")

    assert made["after"]["name"] == "Bot"
    assert not {"keyHash", "key_hash", "key", "signingSecret"} & made["after"].keys()
    assert rotated["after"]["key"] == "[hidden]"
    assert [change["path"] for change in rotated["changes"]] == [
        "key",
        "prefix",
        "previousKey",
        "previousSigningSecret",
        "previousUntil",
        "signingSecret",
    ]
    hidden = {"before": "[hidden]", "after": "[hidden]"}
    assert rotated["changes"][0] == {"path": "key", **hidden}
    assert rotated["changes"][2] == {"path": "previousKey", "before": None, "after": "[hidden]"}
    assert rotated["changes"][5] == {"path": "signingSecret", **hidden}
    assert TIME.fullmatch(ended["after"]["revokedAt"])
    assert ended["changes"] == [{"path": "revokedAt", "before": None, "after": ended["after"]["revokedAt"]}]
    assert ended["source"]["route"] == "DELETE /api/v1/api-keys/:keyId"


def test_a_webhook_is_told_by_scheme_and_host_of_its_address(api):
    address = "https://bot.example.com:8443/services/T0/canary-6?key=canary-7#canary-8"
    made = api.post("/api/v1/webhooks", {"url": address, "eventTypes": ["order_update"]}).json()
    api.patch(f"/api/v1/webhooks/{made['id']}", {"url": address.replace("canary-7", "canary-9")})
    api.patch(f"/api/v1/webhooks/{made['id']}", {"url": "https://other.example.com/canary-10"})

    answer = api.get("/api/v1/audit-log", {"kind": "webhook"})

    moved, changed, created = answer.json()
    assert created["after"]["url"] == "https://bot.example.com:8443"
    assert created["after"]["eventTypes"] == ["order_update"]
    assert changed["changes"] == [{"path": "url", "before": "[hidden]", "after": "[hidden]"}]
    assert moved["changes"] == [
        {"path": "url", "before": "https://bot.example.com:8443", "after": "https://other.example.com"}
    ]
    assert "canary-" not in answer.content.decode()


def test_the_admin_shows_a_webhook_as_the_api_does(api):
    address = "https://bot.example.com:8443/services/T0/canary-6?key=canary-7"
    made = api.post("/api/v1/webhooks", {"url": address, "eventTypes": ["order_update"]}).json()
    api.patch(f"/api/v1/webhooks/{made['id']}", {"url": "https://other.example.com/canary-10"})
    moved, created = logged(api, "webhook")
    browser = Client()
    browser.force_login(User.objects.create_superuser("admin@example.com", "Correct-Horse-9-Battery"))

    pages = [browser.get(f"/admin/accounts/auditentry/{entry['id']}/change/") for entry in (moved, created)]

    for page in (*pages, browser.get("/admin/accounts/auditentry/")):
        assert page.status_code == 200
        assert "canary-" not in page.content.decode()
    assert "https://other.example.com" in pages[0].content.decode()
    assert "https://bot.example.com:8443" in pages[0].content.decode()
    assert "https://bot.example.com:8443" in pages[1].content.decode()


def test_a_configuration_keeps_its_own_names():
    assert facts_wire({"data": {"created_at": "2026-01-01T00:00:00.5+00:00"}, "created_at": None}) == {
        "data": {"created_at": "2026-01-01T00:00:00.5+00:00"},
        "createdAt": None,
    }


def test_routes_are_written_as_the_contract_writes_them():
    assert route_wire("GET /api/v1/a/<str:agent_id>/b/<int:n>") == "GET /api/v1/a/:agentId/b/:n"
