"""The live page in a real browser against the real system: signals, ticks, stops, two tabs, outages, both themes."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import NewPage, Watch, shoot, sign_in
from tests.e2e.system import System, wait_until

pytestmark = pytest.mark.xdist_group("e2e")

BONK = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"
WIF = "EKpQGSJtjMFqKZ9KQanSqYXRcF8fBopzLHYxdM65zcjm"
JUP = "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN"
POPCAT = "7GCihgDB8fe6KNjn2MYtkzZcRjQy3t9GHdC8uHYmW2hr"
TICK_MS = 12_000


@pytest.fixture(scope="module")
def market(system: System) -> System:
    """Two funded agents, one with a ladder, and a bot's key under which signals come."""
    for mint, symbol, decimals in ((BONK, "BONK", 5), (WIF, "WIF", 6), (JUP, "JUP", 6), (POPCAT, "POPCAT", 9)):
        system.market.token(mint, symbol=symbol, name=symbol, decimals=decimals)
    system.price(BONK, "0.00000012")
    system.price(WIF, "0.0125")
    system.price(JUP, "0.0031")
    system.price(POPCAT, "0.0021")
    return system


@pytest.fixture(scope="module")
def key(market: System) -> str:
    return market.key()


@pytest.fixture(scope="module")
def held(market: System, key: str) -> None:
    """A position that stays."""
    holder = market.agent("Holder", sol="12", staleTrade={"enabled": False}, takeProfit={"enabled": True})
    market.signal(key, POPCAT, "POPCAT", kind="Hold")
    assert wait_until(lambda: market.holds(holder))


def row_of(page: Page, symbol: str):  # type: ignore[no-untyped-def]
    return page.locator(".position", has=page.locator(".token", has_text=re.compile(f"^{symbol}$")))


def test_the_first_steps_lead_to_a_command(market: System, open_page: NewPage) -> None:
    page = open_page()
    page.goto("/")
    expect(page).to_have_url(re.compile("/sign-in/$"))
    shoot(page, "sign-in-dark")
    sign_in(page)

    expect(page.get_by_text("No agent yet")).to_be_visible()
    shoot(page, "no-agent")
    page.get_by_role("button", name="Create a simulated agent").click()
    expect(page.get_by_text("Waiting for a signal")).to_be_visible()
    expect(page.locator("#summary")).to_contain_text("10.0000 SOL")
    page.get_by_role("button", name="Create an API key and show the command").click()
    expect(page.locator("#command")).to_contain_text(re.compile(r"curl http://127.*X-API-Key: nex_", re.S))
    shoot(page, "command")


def test_a_signal_is_a_row_a_tick_moves_it_and_the_stop_removes_it_in_both_tabs(
    market: System, key: str, open_page: NewPage
) -> None:
    page = open_page()
    sign_in(page)
    market.agent("Momentum", sol="12", takeProfit={"enabled": True}, staleTrade={"enabled": False})
    page.locator("#summary").get_by_text("SOL free").wait_for()
    tab = open_page(context=page.context)
    tab.goto("/")
    tab.locator("#connection[data-state=live]").wait_for()

    market.signal(key, BONK, "BONK")
    for each in (page, tab):
        expect(row_of(each, "BONK").first).to_be_visible(timeout=TICK_MS)
    momentum = page.locator(".position", has_text="Momentum")
    expect(momentum).to_contain_text("−32 %")
    expect(momentum).to_contain_text("0/4")
    expect(page.locator("#summary [data-open]")).not_to_have_text("0", timeout=TICK_MS)

    market.price(BONK, "0.00000015")
    for each in (page, tab):
        expect(each.locator(".position", has_text="Momentum")).to_contain_text("+25.00 %", timeout=TICK_MS)
    expect(momentum).to_contain_text("+15 %")

    market.price(BONK, "0.000000135")
    for each in (page, tab):
        expect(each.locator(".position", has_text="Momentum")).to_have_count(0, timeout=TICK_MS)
        closed = each.locator("#closed-items > li", has_text="Momentum")
        expect(closed).to_contain_text("Stop loss")
        expect(closed).to_contain_text("BONK")
        expect(closed).to_have_attribute("data-reason", "stop_loss")
        expect(closed).to_have_count(1)


def test_a_person_closes_a_position_and_is_asked_first(market: System, key: str, open_page: NewPage) -> None:
    page = open_page()
    sign_in(page)
    market.signal(key, WIF, "WIF")
    row = page.locator(".position", has_text="Momentum").filter(has_text="WIF")
    expect(row).to_be_visible(timeout=TICK_MS)

    row.get_by_role("button", name="Close WIF in Momentum").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(row).to_be_visible()
    row.get_by_role("button", name="Close WIF in Momentum").click()
    page.get_by_role("dialog").get_by_role("button", name="Close position").click()

    expect(row).to_have_count(0, timeout=TICK_MS)
    closed = page.locator("#closed-items > li", has_text="Momentum").filter(has_text="WIF")
    expect(closed).to_contain_text("Closed by hand")


def test_after_an_interruption_the_page_shows_what_it_missed(
    market: System, key: str, open_page: NewPage, watch: Watch
) -> None:
    page = open_page()
    sign_in(page)
    page.context.set_offline(True)
    page.evaluate("document.getElementById('socket')['htmx-internal-data'].webSocket.close()")
    expect(page.locator("#connection")).to_contain_text("Offline since")
    market.signal(key, JUP, "JUP")
    page.wait_for_timeout(1500)
    expect(row_of(page, "JUP")).to_have_count(0)

    page.context.set_offline(False)
    expect(page.locator("#connection")).to_have_attribute("data-state", "live", timeout=TICK_MS)
    expect(row_of(page, "JUP").first).to_be_visible(timeout=TICK_MS)
    # The browser notes every attempt while there was no network; nothing else went wrong.
    watch.problems = [
        text for text in watch.problems if "ERR_INTERNET_DISCONNECTED" not in text and "htmx:" not in text
    ]


def test_a_price_that_stops_coming_shows_its_age_until_it_is_seen_again(held: None, open_page: NewPage) -> None:
    page = open_page()
    sign_in(page)
    row = row_of(page, "POPCAT").first
    expect(row.locator("time[data-age]")).to_be_hidden()

    page.clock.install()
    page.reload()
    page.locator("#connection[data-state=live]").wait_for()
    page.route("**/live/summary/", lambda route: route.fulfill(status=204))  # the server's clock would set ours right
    page.route("**/live/prices/", lambda route: route.fulfill(json={}))
    page.clock.run_for(40_000)
    expect(row.locator("time[data-age]")).to_contain_text("s old")
    expect(page.locator("#connection")).to_contain_text("Live, prices are stale")

    page.unroute("**/live/summary/")
    page.unroute("**/live/prices/")
    page.clock.run_for(40_000)
    expect(row.locator("time[data-age]")).to_be_hidden()
    expect(page.locator("#connection [data-text]")).to_have_text("Live")


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_fits_and_reads_in_both_themes(held: None, open_page: NewPage, width: int, theme: str) -> None:
    page = open_page(width=width, theme=theme)
    sign_in(page)
    expect(row_of(page, "POPCAT").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate("document.fonts.check('14px \"Inter Variable\"')")
    shoot(page, f"positions-{width}-{theme}")


def test_the_theme_is_remembered_and_signing_out_ends_the_page(market: System, open_page: NewPage) -> None:
    page = open_page(theme="dark")
    sign_in(page)
    page.get_by_role("button", name="Switch between dark and light theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")

    tab = open_page(context=page.context)
    tab.goto("/")
    tab.locator("#connection[data-state=live]").wait_for()
    page.locator("details.dropdown summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in/$"))
    expect(tab).to_have_url(re.compile("/sign-in/$"), timeout=TICK_MS)


def test_a_wrong_password_says_so(market: System, open_page: NewPage, watch: Watch) -> None:
    page = open_page()
    page.goto("/")
    page.get_by_label("E-mail").fill("nobody@example.com")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("The e-mail or the password is wrong.")
    watch.problems = [text for text in watch.problems if "401" not in text]
