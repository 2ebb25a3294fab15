"""The live page after a reset, without money and with entries off: it says what is missing, and how to mend it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from agents import services as agents
from agents.models import Agent
from nexgent import clock
from nexgent.accounts import services as accounts
from nexgent.accounts.models import Membership, Role, User
from nexgent.events.records import Record
from nexgent.web import live, portfolio
from tests.executing import executing
from tests.integration.test_web_pages import agent_of, browser, opened, owner, signed_in, text_of, tick  # noqa: F401
from trading import lifecycle
from trading import services as trading
from wallets import services as wallets
from wallets.models import Entry, Wallet

pytestmark = pytest.mark.django_db(transaction=True)


def emptied(user: User) -> Agent:
    agent = agent_of(user)
    wallets.withdraw(wallet_id=Wallet.objects.get().id, lamports=12 * 10**9, author="test")
    return agent


def press(client: Client, what: str, agent: Agent) -> Any:
    return client.post(f"/setup/{what}/{agent.id}/", HTTP_HX_REQUEST="true")


def test_a_reset_leaves_nothing_of_the_epoch_before_on_the_page(owner: User, browser: Client) -> None:  # noqa: F811
    position = opened(owner)
    tick("0.0012")
    with executing():
        order = trading.position_close(position_id=position.id, principal="test")
        trading.wait_final(order, 10)
    before = browser.get("/")
    assert before.context["summary"].realised_today > 0
    assert [item.id for item in before.context["closed"]] == [position.id]

    lifecycle.wallet_reset(agent_id=position.agent_id, wallet_id=position.wallet_id, author="test")

    after = browser.get("/")
    assert (after.context["summary"].equity, after.context["summary"].realised_today) == (0, 0)
    assert after.context["closed"] == []
    assert portfolio.realised_since([position.agent_id], clock.now() - timedelta(days=1)) == 0


def test_a_page_whose_wallet_was_reset_fetches_itself_anew(owner: User) -> None:  # noqa: F811
    record = Record(agent_of(owner).id, 1, "wallet_reset", "{}", clock.now())

    assert live.html(record) == '<div id="refresh" hx-swap-oob="true" data-due></div>'


def test_without_money_the_page_says_so_first_and_one_click_adds_some_once(owner: User, browser: Client) -> None:  # noqa: F811
    agent = emptied(owner)

    page = text_of(browser.get("/"))
    assert "Waiting for a signal" not in page
    assert "No agent can buy yet Momentum has no SOL to buy with. Add 10 simulated SOL" in page

    first, second = press(browser, "money", agent), press(browser, "money", agent)

    assert (first.status_code, second.status_code) == (200, 200)
    assert "Waiting for a signal" in text_of(first)
    assert browser.get("/").context["summary"].equity == 10 * 10**9
    assert Entry.objects.filter(kind="DEPOSIT", author=owner.email).count() == 1


def test_with_entries_off_the_page_says_so_and_one_click_turns_them_on(owner: User, browser: Client) -> None:  # noqa: F811
    agent = agent_of(owner)
    agents.agent_update(agent_id=agent.id, changes={"entries_simulation": False})
    assert "No agent can buy yet Momentum has its entries off. Turn entries on" in text_of(browser.get("/"))

    answer = press(browser, "entries", agent)

    assert "Waiting for a signal" in text_of(answer)
    assert Agent.objects.get().entries_simulation is True


def test_agents_that_can_buy_wait_for_a_signal_beside_those_that_cannot(owner: User, browser: Client) -> None:  # noqa: F811
    emptied(owner)
    agent_of(owner, "Rich")

    page = text_of(browser.get("/"))

    assert "Waiting for a signal" in page
    assert "Momentum has no SOL to buy with." in page
    assert "Rich has no" not in page


def test_the_figures_bring_along_who_can_buy(owner: User, browser: Client) -> None:  # noqa: F811
    emptied(owner)

    answer = browser.get("/live/summary/", HTTP_HX_REQUEST="true").content.decode()

    assert '<dl id="summary"' in answer
    assert '<div id="buyers" hx-swap-oob="true">' in answer
    assert "has no SOL to buy with." in answer


def test_live_agents_are_told_what_they_lack_and_no_button_buys_for_real(owner: User, browser: Client) -> None:  # noqa: F811
    agent = agent_of(owner)
    agents.agent_update(agent_id=agent.id, changes={"mode": "live"})

    page = browser.get("/")
    press(browser, "money", agent)
    press(browser, "entries", agent)

    assert "has its live entries off" in text_of(page)
    assert "/setup/money/" not in page.content.decode()
    assert Agent.objects.get().entries_live is False
    assert Entry.objects.filter(author=owner.email).count() == 0


def test_only_an_owner_mends_and_a_strangers_agent_does_not_exist(owner: User, browser: Client) -> None:  # noqa: F811
    agent = emptied(owner)
    stranger = signed_in(accounts.user_create(email="stranger@example.com", password="correct-horse-battery-9"))
    assert [press(stranger, what, agent).status_code for what in ("money", "entries")] == [404, 404]

    Membership.objects.filter(user=owner).update(role=Role.TRADER)

    assert [press(browser, what, agent).status_code for what in ("money", "entries")] == [403, 403]
    page = browser.get("/")
    assert "An owner of the workspace can change that." in text_of(page)
    assert "/setup/money/" not in page.content.decode()
