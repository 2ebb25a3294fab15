"""Every page of the admin opens for a superuser, for every registered model of every app; and what its actions do."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from unfold.admin import ModelAdmin as UnfoldAdmin

from agents.models import Agent, Assignment
from nexgent import clock
from nexgent.accounts.models import User
from nexgent.events import alarms
from nexgent.ids import uuid7
from prices.models import Candle
from tests.trader import Trader, tape_clock
from trading.models import Attempt, Order, ProtectionLock, Purpose
from trading.performance import snapshots

pytestmark = pytest.mark.django_db(transaction=True)
OURS = ("accounts", "api", "events", "prices", "wallets", "agents", "trading", "signals")


@pytest.fixture
def trader():
    """A trader with a bit of everything behind him."""
    with tape_clock() as tape:
        trader = Trader(tape)
        trader.price("0.001")
        trader.signal()
        trader.wait(60)
        trader.price("0.0011")
        now = clock.now()
        Candle.objects.get_or_create(mint=trader.mint, start=now, defaults={"open": 1, "high": 1, "low": 1, "close": 1})
        Attempt.objects.create(
            order=trader.orders()[0], signature="s" * 88, last_valid_block_height=1, created_at=now, state=1
        )
        ProtectionLock.objects.create(
            agent=trader.agent, protection="cooldown", reason="Just sold.", starts_at=now, ends_at=now + timedelta(1)
        )
        snapshots.capture()
        alarms.raise_alarm("TEST", subject="nothing", at=now)
        yield trader


@pytest.fixture
def client(trader):
    user = User.objects.create_superuser(f"{uuid7()}@example.com", "correct horse battery 9")
    client = Client()
    client.force_login(user)
    client.user = user
    return client


def _path(model, page, *arguments):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


def test_every_list_and_one_page_of_every_model_open(client):
    failed, opened = [], set()
    for model in admin.site._registry:
        paths = [_path(model, "changelist"), _path(model, "changelist") + "?q=1"]
        row = model._default_manager.first()
        if row is not None:
            paths.append(_path(model, "change", row.pk))
            opened.add(model._meta.label)
        failed += [(path, status) for path in paths if (status := client.get(path).status_code) != 200]

    assert failed == []
    assert {f"trading.{name}" for name in ("Position", "Order", "Fill", "Attempt", "Watermark")} <= opened
    assert {"trading.ProtectionLock", "trading.PortfolioSnapshot", "agents.Agent", "wallets.Entry"} <= opened


def test_the_front_page_names_every_app(client):
    text = client.get("/admin/").content.decode()

    assert [name for name in ("Trading", "Wallets", "Agents", "Signals", "Prices") if name not in text] == []


def test_every_page_of_ours_has_the_same_theme():
    strangers = [
        model._meta.label
        for model, page in admin.site._registry.items()
        if model._meta.app_label in OURS and not isinstance(page, UnfoldAdmin)
    ]

    assert strangers == []


@pytest.mark.parametrize("name", ["position", "order", "fill", "attempt", "watermark", "protectionlock"])
def test_history_is_not_edited(client, name):
    model = next(model for model in admin.site._registry if model._meta.label_lower == f"trading.{name}")
    row = model.objects.first()

    assert client.post(_path(model, "change", row.pk), {"state": 0}).status_code == 403
    assert client.get(_path(model, "add")).status_code == 403
    assert client.post(_path(model, "delete", row.pk), {"post": "yes"}).status_code == 403


def test_a_position_is_sold_by_an_action(client, trader):
    position = trader.position

    client.post("/admin/trading/position/", {"action": "sell", "_selected_action": [str(position.id)]})
    trader.settle()

    order = Order.objects.get(position=position, purpose=Purpose.MANUAL)
    assert order.key_text.startswith(f"manual:admin:{client.user.pk}:")
    assert trader.position.close_reason == "manual"


def test_a_second_sale_of_the_same_position_is_refused_in_words(client, trader):
    position = trader.position
    body = {"action": "sell", "_selected_action": [str(position.id)]}
    client.post("/admin/trading/position/", body)

    text = client.post("/admin/trading/position/", body, follow=True).content.decode()

    assert "A sale of this position is under way." in text
    assert Order.objects.filter(position=position, purpose=Purpose.MANUAL).count() == 1


def test_a_protection_is_lifted_by_an_action(client, trader):
    lock = ProtectionLock.objects.get(agent=trader.agent)

    client.post("/admin/trading/protectionlock/", {"action": "lift", "_selected_action": [str(lock.id)]})

    lock.refresh_from_db()
    assert (lock.lifted_at, lock.lifted_by) == (clock.now(), client.user.email)


def test_an_agent_is_archived_and_its_position_sold(client, trader):
    client.post("/admin/agents/agent/", {"action": "archive", "_selected_action": [str(trader.agent.id)]})
    trader.settle()

    assert Agent.objects.get(id=trader.agent.id).archived_at == clock.now()
    assert Assignment.objects.get(agent=trader.agent).ended_at == clock.now()
    assert trader.position.closed_at is not None


def test_somebody_who_may_only_look_has_no_actions(client, trader):
    client.user.is_superuser = False
    client.user.save()

    assert client.get("/admin/trading/position/").status_code == 403
