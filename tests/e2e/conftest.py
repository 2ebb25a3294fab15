"""One running product and one browser for all browser tests; a page that said something bad fails its test."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, sync_playwright

from tests.e2e.system import EMAIL, PASSWORD, System, running

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
SHOTS = Path(os.environ.get("E2E_SCREENSHOTS", ""))
_SKIPPED = "e2e skipped: no Chromium"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if CHROMIUM is None:
        terminalreporter.write_line(_SKIPPED)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium; without one the tests skip, unless REQUIRE_BROWSER says that they must not."""
    if CHROMIUM is None:
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail("REQUIRE_BROWSER is set and there is no Chromium")
        pytest.skip(_SKIPPED)
    with sync_playwright() as playwright:
        options = ["--font-render-hinting=none", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield started
        started.close()


@pytest.fixture(scope="package")
def system(browser: Browser) -> Iterator[System]:
    with running() as started:
        yield started


class Watch:
    """What went wrong on the pages of one test."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._is_leaving = False

    def page(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)

    def _console(self, message: ConsoleMessage) -> None:
        if "closed before the connection is established" in message.text:
            self._is_leaving = True  # the page was left while its socket opened: htmx reports it once more
            return
        if message.text == "[object Event]" and self._is_leaving:
            self._is_leaving = False
            return
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left while it asked
            self.problems.append(f"failed: {request.url} {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Nothing in a console, no failed request: checked when the test is over."""
    watching = Watch()
    yield watching
    assert watching.problems == []


NewPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, system: System, watch: Watch) -> Iterator[NewPage]:
    """Opens pages: `open_page(width=390, theme="light", context=other_tab.context)`."""
    contexts: list[BrowserContext] = []

    def open_page(*, width: int = 1440, theme: str = "dark", context: BrowserContext | None = None) -> Page:
        if context is None:
            context = browser.new_context(
                base_url=system.url,
                viewport={"width": width, "height": 900 if width > 600 else 844},
                color_scheme="light" if theme == "light" else "dark",
                timezone_id="Europe/Berlin",
                locale="en-GB",
            )
            context.set_default_timeout(10_000)
            contexts.append(context)
        page = context.new_page()
        watch.page(page)
        return page

    yield open_page
    for context in contexts:
        context.close()


def sign_in(page: Page) -> None:
    """Through the form, to the live page."""
    page.goto("/")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.locator("#connection[data-state=live]").wait_for()


def shoot(page: Page, name: str) -> None:
    """A picture for eyes, when E2E_SCREENSHOTS names a directory."""
    if SHOTS.name:
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
