"""The pages without a browser: who gets in, what they show, what they refuse, what they cost."""

import re
from decimal import Decimal
from typing import Any

import orjson
import pytest
from django.contrib.auth.hashers import identify_hasher
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents import services as agents
from nexgent import clock
from nexgent.accounts import services as accounts
from nexgent.accounts.models import ApiKey, Membership, Role, User
from nexgent.events import selectors
from nexgent.events.records import RESET, Record
from nexgent.web import live
from prices import services as prices
from prices.records import PriceTick
from signals import fanout
from signals import services as signals
from trading.models import Order, Position, Purpose, Side
from wallets import services as wallets
from wallets.models import Wallet

pytestmark = pytest.mark.django_db(transaction=True)

MINT = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"
PASSWORD = "correct-horse-battery-9"
QUERIES_MAX = 12


@pytest.fixture
def owner() -> User:
    return accounts.user_create(email="owner@example.com", password=PASSWORD)


@pytest.fixture
def browser(owner: User) -> Client:
    return signed_in(owner)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def workspace_of(user: User) -> Any:
    return Membership.objects.get(user=user).workspace_id


def agent_of(user: User, name: str = "Momentum") -> Any:
    agent = agents.agent_create(
        workspace_id=workspace_of(user),
        user_id=user.id,
        name=name,
        profile="ideal",
        config={"takeProfit": {"enabled": True}},
    )
    wallets.deposit(wallet_id=Wallet.objects.get(assignments__agent=agent).id, lamports=12 * 10**9, author="test")
    return agent


def tick(price: str) -> None:
    prices.publish([PriceTick(MINT, Decimal(price), clock.now(), "test", liquidity_usd=Decimal(100_000))])


def opened(user: User) -> Position:
    """An open position, bought on a signal at 0.001 SOL."""
    agent = agent_of(user)
    tick("0.001")
    signals.accept(
        workspace_id=agent.workspace_id,
        user_id=user.id,
        received_at=clock.now(),
        data={"tokenAddress": MINT, "symbol": "BONK", "signalType": "X", "signalStrength": 5},
    )
    fanout.drain()
    return Position.objects.get(agent=agent)


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def test_pages_ask_to_sign_in_and_lead_back() -> None:
    client = Client()
    assert client.get("/").headers["Location"] == "/sign-in/"
    asked = client.get("/live/summary/", HTTP_HX_REQUEST="true")
    assert asked.headers["HX-Redirect"] == "/sign-in/"
    assert client.post("/setup/key/").headers["Location"] == "/sign-in/"


def test_signing_in_makes_a_session_and_signing_out_ends_it(owner: User) -> None:
    client = Client(enforce_csrf_checks=True)
    page = client.get("/sign-in/")
    form = {"email": "OWNER@example.com ", "password": PASSWORD, "next": "//evil.example/"}
    assert client.post("/sign-in/", form).status_code == 403
    token = page.context["csrf_token"]

    answer = client.post("/sign-in/", {**form, "csrfmiddlewaretoken": str(token)})

    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert identify_hasher(owner.password).algorithm == "argon2"
    assert client.get("/").status_code == 200
    assert client.cookies["nexgent_session"]["expires"] == ""
    token = str(client.get("/").context["csrf_token"])
    assert client.post("/sign-out/", {"csrfmiddlewaretoken": token}).status_code == 302
    assert client.get("/").headers["Location"] == "/sign-in/"


def test_the_fifth_wrong_password_locks_and_says_until_when(owner: User) -> None:
    client = Client()
    wrong = {"email": owner.email, "password": "wrong"}
    assert [client.post("/sign-in/", wrong).status_code for _ in range(5)] == [401, 401, 401, 401, 423]

    locked = client.post("/sign-in/", {"email": owner.email, "password": PASSWORD})

    assert locked.status_code == 423
    assert re.search(r'<time datetime="20\d\d-', locked.content.decode())


def test_a_first_password_is_changed_before_anything_else() -> None:
    user = accounts.user_create(
        email="first@example.com", password=PASSWORD, is_superuser=True, must_change_password=True
    )
    client = signed_in(user)
    assert client.get("/").headers["Location"] == "/password/"
    assert client.get("/admin/").headers["Location"] == "/password/"

    weak = client.post("/password/", {"current": PASSWORD, "password": "12345", "again": "12345"})
    other = client.post("/password/", {"current": PASSWORD, "password": "fresh-horse-staple-7", "again": "no"})
    good = client.post(
        "/password/", {"current": PASSWORD, "password": "fresh-horse-staple-7", "again": "fresh-horse-staple-7"}
    )

    assert weak.status_code == 400
    assert "too short" in text_of(weak)
    assert (other.status_code, "is not the same" in text_of(other)) == (400, True)
    assert good.headers["Location"] == "/"
    assert client.get("/").status_code == 200


def test_nothing_inline_and_a_nonce_for_each_answer(browser: Client) -> None:
    first, second = browser.get("/"), browser.get("/")
    policy = first.headers["Content-Security-Policy"]
    nonce = re.search(r"script-src 'nonce-([^']+)'", policy)
    assert nonce is not None
    assert "unsafe" not in policy
    assert nonce[1] not in second.headers["Content-Security-Policy"]
    html = first.content.decode()
    tags = re.findall(r"<(?:script|link rel=\"stylesheet\")[^>]*>", html)
    assert tags
    assert all(f'nonce="{nonce[1]}"' in tag for tag in tags)
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", html)
    assert '"allowEval":false' in html


def test_a_position_is_a_row_with_its_rules(owner: User, browser: Client) -> None:
    position = opened(owner)
    tick("0.0012")
    response = browser.get("/")
    row = response.context["rows"][0]

    assert row.gain == 20
    assert row.stop_percent == 10
    assert row.stop_price == Decimal("0.0011")
    assert (row.levels_hit, row.levels_total, row.next_level.target_percent) == (0, 4, 50)
    assert row.profit == row.value - position.cost_lamports
    text = text_of(response)
    for words in ("BONK", "Momentum", "+20.00 %", "0.0011000", "+10 %", "+50 % sells 25 % 0/4"):
        assert words in text
    assert f'id="position-{position.id}"' in response.content.decode()


def test_what_has_no_price_is_unknown_and_not_zero(owner: User, browser: Client) -> None:
    from prices import cache
    from prices.models import LatestPrice

    opened(owner)
    cache.forget()
    LatestPrice.objects.all().delete()

    response = browser.get("/")

    row = response.context["rows"][0]
    assert (row.price, row.gain, row.value, row.profit, row.range) == (None, None, None, None, None)
    assert response.context["summary"].unpriced == 1
    assert "without 1 unpriced" in text_of(response)


def test_the_page_costs_few_queries_however_many_agents(owner: User, browser: Client) -> None:
    opened(owner)
    browser.get("/")
    with CaptureQueriesContext(
        connection,
    ) as one:
        browser.get("/")
    for number in range(5):
        agent_of(owner, f"Agent {number}")
    with CaptureQueriesContext(connection) as six:
        browser.get("/")
    assert len(six) == len(one)
    assert len([query for query in six if not query["sql"].startswith(("BEGIN", "COMMIT", "SET"))]) <= QUERIES_MAX


def test_a_close_plans_one_manual_sale_and_says_why_not_twice(owner: User, browser: Client) -> None:
    position = opened(owner)

    first = browser.post(f"/positions/{position.id}/close/", HTTP_HX_REQUEST="true")
    second = browser.post(f"/positions/{position.id}/close/", HTTP_HX_REQUEST="true")

    assert (first.status_code, "Closing" in text_of(first)) == (200, True)
    assert second.status_code == 409
    assert second.headers["HX-Reswap"] == "none"
    assert "Not closed" in text_of(second)
    assert [order.purpose for order in Order.objects.filter(position=position, side=Side.SELL)] == [Purpose.MANUAL]
    assert "Closing" in text_of(browser.get("/"))


def test_a_stranger_sees_and_closes_nothing_and_a_viewer_only_sees(owner: User) -> None:
    position = opened(owner)
    stranger = signed_in(accounts.user_create(email="stranger@example.com", password=PASSWORD))
    assert stranger.get("/").context["rows"] == []
    assert stranger.post(f"/positions/{position.id}/close/").status_code == 404
    assert orjson.loads(stranger.get("/live/prices/").content) == {}

    Membership.objects.filter(user=owner).update(role=Role.VIEWER)
    viewer = signed_in(owner)
    assert len(viewer.get("/").context["rows"]) == 1
    assert viewer.post(f"/positions/{position.id}/close/").status_code == 403
    assert viewer.post("/setup/key/").status_code == 403
    assert not Order.objects.filter(position=position, side=Side.SELL).exists()


def test_the_first_steps_make_one_agent_and_a_key_that_only_posts_signals(owner: User, browser: Client) -> None:
    browser.post("/setup/agent/", HTTP_HX_REQUEST="true", HTTP_HX_TARGET="live")
    page = browser.post("/setup/agent/", HTTP_HX_REQUEST="true", HTTP_HX_TARGET="live")
    assert page.context["summary"].equity == 10 * 10**9
    assert "Waiting for a signal" in text_of(page)

    command = browser.post("/setup/key/", HTTP_HX_REQUEST="true").context["command"]

    key = ApiKey.objects.get()
    assert key.scopes == ["signals"]
    assert "curl http://testserver/api/v1/trading-signals" in command
    raw = re.search(r"X-API-Key: (\S+)'", command)
    body = re.search(r"-d '(.*)'", command, re.S)
    assert raw is not None
    assert body is not None
    posted = Client().post(
        "/api/v1/trading-signals", body[1], content_type="application/json", headers={"X-API-Key": raw[1]}
    )
    assert posted.status_code == 201


def test_events_become_fragments_of_the_same_row(owner: User, browser: Client) -> None:
    position = opened(owner)
    records = selectors.events_after({position.agent_id: 0})
    created = next(record for record in records if record.type == "position_update")

    inserted = live.html(created)
    cells = live.price_html(position.agent_id, {MINT: ("0.0012", None)})

    assert inserted is not None
    assert 'hx-swap-oob="afterbegin:#position-rows"' in inserted
    row = re.search(rf'<div id="position-{position.id}".*?</div>\s*</div>\s*<div id="spoken"', inserted, re.S)
    assert row is not None
    assert cells is not None
    assert f'id="price-{position.id}"' in cells
    assert "+20.00 %" in cells
    assert live.price_html(position.agent_id, {"EKpQGSJtjMFqKZ9KQanSqYXRcF8fBopzLHYxdM65zcjm": ("1", None)}) is None


def test_a_closed_position_leaves_the_table_and_enters_the_feed_with_its_reason(owner: User) -> None:
    position = opened(owner)
    position.closed_at, position.close_reason, position.realised_lamports = clock.now(), "stop_loss", -250_000_000
    position.save()
    payload = {"eventType": "position_closed", "positionId": str(position.id), "closeReason": "stop_loss"}

    html = live.html(Record(position.agent_id, 9, "position_update", orjson.dumps(payload).decode(), clock.now()))

    assert html is not None
    assert f'<div id="position-{position.id}" hx-swap-oob="delete">' in html
    assert 'data-reason="stop_loss"' in html
    assert "Stop loss" in html
    assert "−0.2500 SOL" in html


def test_a_page_too_far_behind_and_one_with_a_new_agent_fetch_themselves_anew(owner: User) -> None:
    for kind in (RESET, "agent_created"):
        record = Record(workspace_of(owner), 1, kind, "{}", clock.now())
        assert live.html(record) == '<div id="refresh" hx-swap-oob="true" data-due></div>'


def test_old_addresses_lead_home() -> None:
    for name in ("general", "agent-profile", "performance-overview", "trade-signals", "transactions", "wallet"):
        assert Client().get(f"/dashboard/{name}").headers["Location"] == "/"
