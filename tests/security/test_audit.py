"""The audit trail: what is tracked, changed through the API, the admin and plain SQL, leaves who, when, from where."""

import json

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from agents.models import Agent
from nexgent.accounts import audit, grants, services
from nexgent.accounts.audit_wire import changes
from nexgent.accounts.models import ApiKey, AuditEntry, Membership, Role, User
from tests.integration.api_client import sign_up
from tests.security.people import browser_of, client_of, member_of, workspace_of

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def owner(transactional_db):
    return sign_up("owner@example.com")


@pytest.fixture
def api(owner):
    return client_of(owner, **{"User-Agent": FIREFOX, "X-Request-Id": "req-1"})


def entries(kind, **facts):
    return list(AuditEntry.objects.filter(kind=kind, **facts).order_by("id"))


def last(kind):
    return AuditEntry.objects.filter(kind=kind).latest("id")


def make_agent(api, name="Momentum"):
    answer = api.post("/api/v1/agents", {"name": name, "profile": "ideal"})
    assert answer.status_code == 201
    return answer.json()["id"]


def test_an_agent_made_by_the_api_tells_who_and_from_where(api, owner):
    agent = make_agent(api)

    entry = last("agent")
    assert (entry.action, entry.object_id, str(entry.agent_id)) == ("created", agent, agent)
    assert entry.workspace_id == workspace_of(owner)
    assert (entry.actor_kind, entry.actor_id, entry.actor) == ("user", owner.id, "owner@example.com")
    assert (entry.client, entry.request_id, entry.route) == ("Firefox", "req-1", "POST /api/v1/agents")
    assert entry.address.startswith("10.")
    assert (entry.before, entry.after["name"]) == (None, "Momentum")


def test_a_switch_shows_what_it_was_and_what_it_is(api):
    agent = make_agent(api)

    api.put(f"/api/v1/agents/{agent}", {"automatedTradingSimulation": False, "tradingMode": "live"})

    entry = last("agent")
    assert entry.action == "changed"
    assert entry.before == {"entries_simulation": True, "mode": "simulation"}
    assert entry.after == {"entries_simulation": False, "mode": "live"}


def test_a_configuration_shows_the_version_before(api):
    agent = make_agent(api)

    api.put(f"/api/v1/agents/{agent}/config", {"config": {"stopLoss": {"defaultPercentage": -20}}})

    entry = last("config")
    assert (entry.before["number"], entry.after["number"]) == (1, 2)
    found = {path: (was, now) for path, was, now in changes(entry.before, entry.after)}
    assert found["data.stopLoss.defaultPercentage"] == (-32, -20)
    assert [path for path in found if path.startswith("data.")] == ["data.stopLoss.defaultPercentage"]


def test_wallet_and_assignment_of_a_new_agent_are_on_record(api, owner):
    agent = make_agent(api)

    assert last("wallet").workspace_id == workspace_of(owner)
    assert (str(last("assignment").agent_id), last("assignment").after["mode"]) == (agent, "simulation")


def test_a_key_is_on_record_without_its_hash(api):
    made = api.post("/api/v1/api-keys", {"name": "Bot", "scopes": ["signals"]}).json()
    api.delete(f"/api/v1/api-keys/{made['id']}")

    created, ended = entries("api_key")
    assert (created.after["name"], created.after["key_hash"]) == ("Bot", "[hidden]")
    assert (ended.action, ended.before) == ("changed", {"revoked_at": None})
    stored = ApiKey.objects.get(id=made["id"]).key_hash
    whole = json.dumps([[e.before, e.after] for e in AuditEntry.objects.all()])
    assert stored not in whole
    assert made["key"] not in whole


def test_what_a_key_changes_is_the_keys_doing(api, owner):
    agent = make_agent(api)
    key = api.post("/api/v1/api-keys", {"name": "Bot", "scopes": ["config", "agents"]}).json()
    bot = client_of(owner)
    bot.headers = {"X-API-Key": key["key"], "User-Agent": "python-httpx/0.28.1"}

    assert bot.put(f"/api/v1/agents/{agent}/config", {"config": {"dca": {"enabled": True}}}).status_code == 200

    entry = last("config")
    assert (entry.actor_kind, str(entry.actor_id), entry.client) == ("key", key["id"], "python-httpx")


def test_a_new_password_is_seen_and_not_shown(owner):
    hash_before = User.objects.get(id=owner.id).password

    services.password_change(user_id=owner.id, current="Correct-Horse-9-Battery", new="Another-Horse-7-Staple")

    entry = last("user")
    assert (entry.before, entry.after) == ({"password": "[hidden]"}, {"password": "[hidden]"})
    assert (entry.actor_kind, entry.actor[:8]) == ("system", "process ")
    assert hash_before not in json.dumps([e.after for e in entries("user")])


def test_roles_grants_and_members_are_on_record(api, owner):
    agent, workspace = make_agent(api), workspace_of(owner)
    trader = member_of(workspace, "trader@example.com")
    base = f"/api/v1/workspaces/{workspace}/members/{trader.id}"

    assert api.patch(base, {"role": "auditor"}).status_code == 200
    assert api.put(f"{base}/grants", {"agentIds": [agent]}).status_code == 200
    assert api.put(f"{base}/grants", {"agentIds": None}).status_code == 200
    assert api.delete(base).status_code == 204

    role, limited, lifted, ended, own = entries("membership")[-5:]
    assert (role.before, role.after) == ({"role": "trader"}, {"role": "auditor"})
    assert (limited.after, lifted.after) == ({"is_limited": True}, {"is_limited": False})
    assert (ended.action, ended.actor) == ("deleted", "owner@example.com")
    assert (own.action, own.actor) == ("created", "owner@example.com")  # a workspace of their own, having no other
    assert [entry.action for entry in entries("grant")] == ["created", "deleted"]
    assert entries("grant")[0].workspace_id == workspace


def test_plain_sql_is_on_record_as_the_databases(api, owner):
    agent = make_agent(api)

    with connection.cursor() as cursor:
        cursor.connection.execute("UPDATE agents_agent SET mode = 'live', exits_live = false")
        cursor.connection.execute("UPDATE accounts_user SET is_staff = false")
        cursor.connection.execute("UPDATE accounts_membership SET role = 'viewer'")
        cursor.connection.execute("DELETE FROM accounts_apikey")
        cursor.connection.execute("UPDATE wallets_wallet SET address = 'x' WHERE true")

    for kind in ("agent", "user", "membership", "wallet"):
        entry = last(kind)
        assert (entry.actor_kind, entry.action, entry.route) == ("database", "changed", "")
        assert entry.actor.endswith(f" nexgent {settings.PROCESS}")
    assert last("agent").before == {"mode": "simulation", "exits_live": True}
    assert str(last("agent").agent_id) == agent


def test_the_admin_is_on_record_with_its_form_and_its_change(api, owner):
    viewer = member_of(workspace_of(owner), "viewer@example.com", Role.VIEWER)
    membership = Membership.objects.get(user=viewer)
    browser = browser_of(owner)

    answer = browser.post(
        f"/admin/accounts/membership/{membership.id}/change/",
        {"user": str(viewer.id), "workspace": str(membership.workspace_id), "role": "trader"},
        headers={"User-Agent": FIREFOX},
    )

    assert answer.status_code == 302
    change, act = last("membership"), last("admin_action")
    assert (change.before, change.after) == ({"role": "viewer"}, {"role": "trader"})
    assert (change.actor, change.client) == ("owner@example.com", "Firefox")
    assert change.route.startswith("POST /admin/accounts/membership/")
    assert (act.after["model"], act.object_id) == ("accounts.membership", str(membership.id))


def test_actions_of_the_admins_lists_are_on_record(api, owner):
    agent = make_agent(api)
    browser = browser_of(owner)

    browser.post("/admin/agents/agent/", {"action": "stop_exits", "_selected_action": [agent]})

    change, act = last("agent"), last("admin_action")
    assert change.after == {"exits_simulation": False, "exits_live": False}
    assert change.actor == "owner@example.com"
    assert (act.action, act.object_id, act.after["action"]) == ("acted", agent, "stop_exits")
    assert (act.after["model"], act.actor) == ("agents.agent", "owner@example.com")


def test_the_admin_shows_the_trail_and_changes_nothing(api, owner):
    make_agent(api)
    entry, browser = last("agent"), browser_of(owner)

    assert "Momentum" in browser.get(f"/admin/accounts/auditentry/{entry.id}/change/").content.decode()
    assert browser.get("/admin/accounts/auditentry/?q=owner@example.com").status_code == 200
    assert browser.get("/admin/accounts/auditentry/add/").status_code == 403
    assert browser.post(f"/admin/accounts/auditentry/{entry.id}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    "statement",
    ["UPDATE accounts_auditentry SET actor = 'x'", "DELETE FROM accounts_auditentry", "TRUNCATE accounts_auditentry"],
)
def test_the_trail_only_grows(api, statement):
    make_agent(api)
    before = AuditEntry.objects.count()

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert AuditEntry.objects.count() == before > 0


def test_what_is_rolled_back_was_never_done(api):
    agent = make_agent(api)
    count = AuditEntry.objects.count()

    with transaction.atomic():
        Agent.objects.filter(id=agent).update(mode="live")
        assert AuditEntry.objects.count() == count + 1
        transaction.set_rollback(True)

    assert AuditEntry.objects.count() == count


def test_the_word_of_one_request_is_not_the_next_ones(api, owner):
    make_agent(api)

    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('nexgent.audit', true)")
        assert cursor.fetchone()[0] in (None, "")


def test_times_of_use_are_no_changes(owner):
    count = len(entries("user"))

    User.objects.filter(id=owner.id).update(last_login="2026-01-01T00:00:00Z")

    assert len(entries("user")) == count


def test_the_list_is_for_auditors_of_the_workspace(api, owner):
    agent, workspace = make_agent(api), workspace_of(owner)
    auditor = client_of(member_of(workspace, "auditor@example.com", Role.AUDITOR))
    viewer = client_of(member_of(workspace, "viewer@example.com", Role.VIEWER))
    stranger = client_of(sign_up("stranger@example.com"))

    answer = auditor.get("/api/v1/audit-log", {"kind": "agent"})
    assert [row["objectId"] for row in answer.json()] == [agent]
    row = answer.json()[0]
    assert row["actor"] == {"kind": "user", "id": str(owner.id), "name": "owner@example.com"}
    assert row["source"]["client"] == "Firefox"
    assert viewer.get("/api/v1/audit-log").status_code == 403
    assert agent not in stranger.get("/api/v1/audit-log").content.decode()


def test_the_list_filters_and_pages(api, owner):
    for name in ("First one", "Second one", "Third one"):
        make_agent(api, name)
    whole = api.get("/api/v1/audit-log").json()
    ids = [row["id"] for row in whole]

    first = api.get("/api/v1/audit-log", {"limit": 2})
    second = api.client.get(first["Link"].split(">")[0][1:], headers=api.headers)
    assert ids == sorted(ids, reverse=True)
    assert [row["id"] for row in first.json() + second.json()] == ids[:4]
    for query, expected in (
        ({"kind": "config"}, 3),
        ({"kind": "agent", "action": "created"}, 3),
        ({"agentId": str(Agent.objects.get(name="First one").id), "kind": "config"}, 1),
        ({"actor": "nobody@example.com"}, 0),
        ({"actor": str(owner.id), "kind": "agent"}, 3),
        ({"actor": "owner@example.com", "kind": "agent"}, 3),
        ({"startDate": "2099-01-01"}, 0),
        ({"endDate": "2099-01-01", "kind": "agent"}, 3),
    ):
        assert len(api.get("/api/v1/audit-log", query).json()) == expected, query
    assert api.get("/api/v1/audit-log", {"kind": "secrets"}).status_code == 400


@pytest.mark.django_db
def test_every_table_of_rights_is_tracked():
    with connection.cursor() as cursor:
        cursor.execute(audit._TRACKED)
        tracked = {row[0] for row in cursor.fetchall()}

    assert tracked >= {
        "accounts_user",
        "accounts_user_groups",
        "accounts_user_user_permissions",
        "accounts_workspace",
        "accounts_membership",
        "accounts_agentgrant",
        "accounts_apikey",
        "agents_agent",
        "agents_configversion",
        "agents_assignment",
        "wallets_wallet",
        "trading_protectionlock",
        "django_admin_log",
        "accounts_invitation",
        "mfa_authenticator",
        "events_webhook",
        "signals_signalhook",
    }


def test_statements_of_the_trade_path_are_not_preceded_by_anything(api, django_assert_num_queries):
    make_agent(api)

    with django_assert_num_queries(1), connection.cursor() as cursor:
        cursor.execute("DELETE FROM trading_fill")
    with django_assert_num_queries(4):  # begin, who, the change, commit
        Agent.objects.update(mode="live")
    assert not audit._is_tracked('INSERT INTO "signals_signal" ("id") VALUES (1)')
    assert audit._is_tracked('WITH x AS (SELECT 1) UPDATE "agents_agent" SET mode = 1')
    assert audit._is_tracked("  update agents_agent set mode = 1")


def test_the_last_owner_stays(api, owner):
    base = f"/api/v1/workspaces/{workspace_of(owner)}/members/{owner.id}"

    answers = [api.patch(base, {"role": "viewer"}), api.delete(base)]

    assert [(a.status_code, a.json()["code"]) for a in answers] == [(409, "LAST_OWNER")] * 2
    assert api.put(f"{base}/grants", {"agentIds": []}).status_code == 400
    assert grants.member(workspace_of(owner), owner.id).role == Role.OWNER
