"""Short lists over REST: whole unless a page is asked for, then with cursors and totals as all others."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from nexgent import clock
from nexgent.accounts import services, tokens
from nexgent.accounts.models import ApiKey, KeySpend, Membership, Role, User
from nexgent.money import SOL_MINT
from signals import fanout
from tests.integration.api_client import signed_in
from tests.integration.api_trading import MINT, buy, inline_prices, tick, trader  # noqa: F401
from tests.integration.test_api_extras_paging import following, signal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inline_prices")]
TOKEN = "9BB6NFEcjBCtnNLFko2FqVQBq8HHM13kCyYcdQbgpump"


def told(answer, name):
    assert answer.status_code == 200, answer.json()
    body = answer.json()
    return [row[name] for row in (body["items"] if isinstance(body, dict) else body)]


def pages(api, path, name, **query):
    """What each page of two rows says in `name`, from Link to Link."""
    answer = api.get(path, {**query, "limit": 2})
    found = [told(answer, name)]
    while (path := following(answer)) is not None:
        answer = api.get(path)
        found.append(told(answer, name))
    return found


def chunks(rows):
    return [rows[at : at + 2] for at in range(0, len(rows), 2)]


def workspace_of(api):
    return api.get("/api/v1/workspaces").json()[0]["id"]


def make_three(api, path, bodies):
    made = [api.post(path, body) for body in bodies]
    assert [answer.status_code for answer in made] == [201, 201, 201], made[0].json()
    return [answer.json()["id"] for answer in made]


@pytest.mark.parametrize(
    ("path", "bodies"),
    [
        ("/api/v1/api-keys", [{"name": f"K{n}", "scopes": ["signals"]} for n in range(3)]),
        ("/api/v1/webhooks", [{"url": f"https://bot.example.com/{n}"} for n in range(3)]),
        ("/api/v1/signal-hooks", [{"name": f"H{n}"} for n in range(3)]),
    ],
)
def test_what_an_owner_makes_is_listed_newest_first_whole_or_in_pages(path, bodies):
    api = signed_in("a@example.com")
    ids = make_three(api, path, bodies)

    counted = api.get(path, {"limit": 1, "offset": 1, "total": "true"})

    assert told(api.get(path), "id") == ids[::-1]
    assert pages(api, path, "id") == [[ids[2], ids[1]], [ids[0]]]
    assert pages(api, path, "id", sort="createdAt") == [[ids[0], ids[1]], [ids[2]]]
    assert (told(counted, "id"), counted.headers["X-Total-Count"]) == ([ids[1]], "3")
    assert api.get(path, {"cursor": "x"}).status_code == 400


def test_invitations_page_by_cursor():
    api = signed_in("a@example.com")
    path = f"/api/v1/workspaces/{workspace_of(api)}/invitations"
    ids = make_three(api, path, [{"role": "viewer"}] * 3)

    assert told(api.get(path), "id") == ids[::-1]
    assert pages(api, path, "id") == [[ids[2], ids[1]], [ids[0]]]


def test_members_and_workspaces_page_by_cursor():
    api = signed_in("a@example.com")
    workspace, owner = workspace_of(api), User.objects.get()
    people = [User.objects.create_user(f"{n}@example.com", "Correct-Horse-9-Battery") for n in range(3)]
    for person in reversed(people):
        Membership.objects.create(workspace_id=workspace, user=person, role=Role.VIEWER)
    others = [services.user_create(email=f"o{n}@example.com", password="Correct-Horse-9-Battery") for n in range(2)]
    places = [Membership.objects.get(user=other).workspace_id for other in others]
    for place in places:
        Membership.objects.create(workspace_id=place, user=owner, role=Role.VIEWER)
    members = f"/api/v1/workspaces/{workspace}/members"

    ids = [str(person.id) for person in (owner, *people)]
    assert told(api.get(members), "userId") == ids
    assert pages(api, members, "userId") == chunks(ids)
    assert pages(api, "/api/v1/workspaces", "id") == chunks([workspace, *map(str, places)])


def test_sessions_page_by_cursor_newest_first():
    api = signed_in("a@example.com")
    for _ in range(2):
        tokens.open_session(User.objects.get(), remember_me=False, rotate=False)
    whole = api.get("/api/v1/auth/sessions", {"total": "true"})
    ids = told(whole, "id")

    assert told(whole, "createdAt") == sorted(told(whole, "createdAt"), reverse=True)
    assert (whole.headers["X-Total-Count"], told(whole, "isCurrent")) == ("3", [False, False, True])
    assert pages(api, "/api/v1/auth/sessions", "id") == chunks(ids)
    assert pages(api, "/api/v1/auth/sessions", "id", sort="createdAt") == chunks(ids[::-1])


def test_executions_page_by_agent():
    api, first = trader()
    agents = [first, *(api.post("/api/v1/agents", {"name": f"Agent {n}"}).json()["id"] for n in range(2))]
    number = signal(api, 1)
    fanout.drain()
    path = f"/api/v1/trading-signals/{number}/executions"
    whole = api.get(path, {"total": "true"})

    assert (told(whole, "agentId"), whole.headers["X-Total-Count"]) == (agents, "3")
    assert pages(api, path, "agentId") == chunks(agents)
    assert pages(api, path, "agentId", sort="-agentId") == chunks(agents[::-1])


def test_balances_page_and_carry_prices_on_each_page():
    api, agent = trader()
    tick("0.001")
    assert buy(api, agent).status_code == 200
    tick("0.002")
    query = {"agentId": agent, "limit": 1, "sort": "tokenAddress", "total": "true"}
    first = api.get("/api/v1/agent-balances", query)
    second = api.get(following(first))

    mints = sorted([SOL_MINT, MINT])
    assert told(first, "tokenAddress") + told(second, "tokenAddress") == mints
    assert first.headers["X-Total-Count"] == "2"
    prices = {SOL_MINT: "1", MINT: "0.002"}
    assert told(first, "priceSol") + told(second, "priceSol") == [prices[mint] for mint in mints]
    whole = api.get("/api/v1/agent-balances", {"agentId": agent})
    assert (told(whole, "tokenAddress"), "Link" in whole.headers) == (mints, False)
    assert "place" not in whole.json()[0]
    wallet = whole.json()[0]["walletAddress"]
    books = api.get("/api/v1/ledger/balances", {"walletAddress": wallet, "limit": 1})
    assert told(books, "tokenAddress") + told(api.get(following(books)), "tokenAddress") == mints


def test_the_list_of_keys_reads_the_spending_of_today_in_one_statement():
    api = signed_in("a@example.com")
    bodies = [{"name": f"K{n}", "scopes": ["signals"], "spendLimitSol": 5} for n in range(3)]
    make_three(api, "/api/v1/api-keys", bodies)
    today = clock.now().date()
    for key in ApiKey.objects.all():
        days = [KeySpend(key=key, day=today.replace(year=2020, day=day), lamports=10**9) for day in range(1, 29)]
        KeySpend.objects.bulk_create([*days, KeySpend(key=key, day=today, lamports=10**9 * int(key.name[1]))])

    with CaptureQueriesContext(
        connection,
    ) as asked:
        answer = api.get("/api/v1/api-keys")

    assert told(answer, "spentTodaySol") == ["2", "1", "0"]
    assert sum("accounts_keyspend" in query["sql"] for query in asked) == 1
    one = answer.json()["items"][0]["id"]
    assert api.get(f"/api/v1/api-keys/{one}").json()["spentTodaySol"] == "2"
    assert api.post(f"/api/v1/api-keys/{one}/rotate").json()["spentTodaySol"] == "2"
