"""Accounts in a real browser: second factor, passkeys of a virtual authenticator, sessions, reset, the looks."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from allauth.mfa.totp.internal import auth as totp
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import NewPage, shoot
from tests.e2e.system import System, running, wait_until

pytestmark = pytest.mark.xdist_group("e2e-accounts")

PASSWORD = "correct-horse-battery-9"
ADDRESSES = (f"10.1.0.{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("letters")
    for part in (directory, *directory.parents[:3]):
        part.chmod(part.stat().st_mode | 0o011)
    return directory


@pytest.fixture(scope="module")
def system(browser: Browser, letters: Path) -> Iterator[System]:
    """An installation of its own, where anybody may register and letters are files; by name, as passkeys want it."""
    patch = pytest.MonkeyPatch()
    patch.setenv("REGISTRATION", "open")
    patch.setenv("TRUSTED_PROXIES", "127.0.0.0/8")  # so that each person has an address, and limits of their own
    patch.setenv("EMAIL_URL", f"file://{letters}")
    with running() as started:
        started.url = started.url.replace("127.0.0.1", "localhost")
        yield started
    patch.undo()


def registered(page: Page, email: str) -> None:
    page.context.set_extra_http_headers({"X-Forwarded-For": next(ADDRESSES)})
    page.goto("/register/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.locator("#connection[data-state=live]").wait_for()


def signed_out(page: Page) -> None:
    page.goto("/account/")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in/$"))


def with_password(page: Page, email: str, password: str = PASSWORD) -> None:
    page.goto("/sign-in/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def with_authenticator(page: Page) -> None:
    """A security key that answers by itself."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def code_of(secret: str, *, ahead: int) -> str:
    """The code of a later time step: those that were used are refused."""
    step = next(iter(totp.yield_hotp_counters_from_time())) + ahead
    return totp.format_hotp_value(totp.hotp_value(secret, step))


def test_an_app_is_added_and_asked_for_at_the_next_sign_in(open_page: NewPage) -> None:
    page = open_page()
    registered(page, "app@example.com")
    page.goto("/account/")
    expect(page.get_by_text("password only")).to_be_visible()
    page.get_by_role("link", name="Add an app").click()
    secret = page.locator("[data-secret]").get_attribute("data-secret") or ""
    shoot(page, "account-app-dark")
    page.get_by_label("The code it shows now").fill(code_of(secret, ahead=0))
    page.get_by_role("button", name="Add the app").click()
    expect(page.locator("#codes li")).to_have_count(10)
    shoot(page, "account-codes-dark")
    recovery = (page.locator("#codes li").first.text_content() or "").strip()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("10 of 10 left")).to_be_visible()

    signed_out(page)
    with_password(page, "app@example.com")
    expect(page).to_have_url(re.compile("/sign-in/code/$"))
    shoot(page, "second-factor-dark")
    page.goto("/")
    expect(page).to_have_url(re.compile("/sign-in/$"))
    page.goto("/sign-in/code/")
    page.get_by_label("Code").fill(recovery)
    page.get_by_role("button", name="Go on").click()
    page.locator("#connection[data-state=live]").wait_for()
    page.goto("/account/")
    expect(page.get_by_text("9 of 10 left")).to_be_visible()


def test_a_passkey_signs_in_alone_and_as_second_factor(open_page: NewPage) -> None:
    page = open_page()
    with_authenticator(page)
    registered(page, "key@example.com")
    page.goto("/account/")
    page.get_by_label("Passkey", exact=True).fill("Laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#codes li")).to_have_count(10)
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("Laptop")).to_be_visible()

    signed_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.locator("#connection[data-state=live]").wait_for()

    signed_out(page)
    with_password(page, "key@example.com")
    page.get_by_role("button", name="Use a passkey").click()
    page.locator("#connection[data-state=live]").wait_for()

    page.goto("/account/confirm/")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(re.compile("/account/$"))


def test_ending_another_session_sends_its_page_to_the_door(open_page: NewPage) -> None:
    page, other = open_page(), open_page(width=390)
    registered(page, "two@example.com")
    with_password(other, "two@example.com")
    other.locator("#connection[data-state=live]").wait_for()
    page.goto("/account/")
    expect(page.locator("[data-session=page]")).to_have_count(2)
    shoot(page, "account-dark")

    page.get_by_role("button", name=re.compile("End the session of")).click()
    expect(page.get_by_text("That session has ended.")).to_be_visible()
    expect(page.locator("[data-session=page]")).to_have_count(1)
    expect(other).to_have_url(re.compile("/sign-in/"), timeout=15_000)


def test_a_lost_password_is_replaced_by_a_mailed_link(open_page: NewPage, letters: Path) -> None:
    page = open_page()
    registered(page, "lost@example.com")
    signed_out(page)
    page.get_by_role("link", name="Forgot it?").click()
    page.get_by_label("E-mail").fill("lost@example.com")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_text("a link is on its way")).to_be_visible()
    assert wait_until(lambda: link_in(letters, "lost@example.com") != "", seconds=30)

    page.goto("/" + link_in(letters, "lost@example.com"))
    expect(page).to_have_url(re.compile("/reset/new/$"))
    page.get_by_label("New password", exact=True).fill("fresh-horse-staple-7")
    page.get_by_label("New password again").fill("fresh-horse-staple-7")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("every session has ended")).to_be_visible()
    with_password(page, "lost@example.com", "fresh-horse-staple-7")
    page.locator("#connection[data-state=live]").wait_for()


def link_in(letters: Path, to: str) -> str:
    """The path of the link in the letters to somebody, "" before one arrived."""
    for letter in letters.glob("*.log"):
        text = letter.read_text()
        found = re.search(r"^http://[^/]+/(reset/\S+)$", text, re.M)
        if f"To: {to}" in text and found:
            return found[1]
    return ""


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_fit_and_have_no_problems(open_page: NewPage, width: int, theme: str) -> None:
    page = open_page(width=width, theme=theme)
    for path in ("sign-in", "register", "reset"):
        page.goto(f"/{path}/")
        assert fits(page), path
        shoot(page, f"{path}-{width}-{theme}")
    registered(page, f"look-{width}-{theme}@example.com")
    for path in ("account", "account/confirm", "account/app", "password"):
        page.goto(f"/{path}/")
        assert fits(page), path
        shoot(page, f"{path.replace('/', '-')}-{width}-{theme}")


def fits(page: Page) -> bool:
    """Whether nothing sticks out to the side and the page has one first heading."""
    is_inside = bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))
    return is_inside and page.locator("h1").count() == 1
