"""The page of the API in a real browser, under the policy that allows no inline and no foreign script."""

import os

import pytest
from playwright.sync_api import sync_playwright

from tests.servers import own_valkey, web_server

pytestmark = pytest.mark.django_db(transaction=True)


def visit(chromium, url, do):
    """Open the page, do something with it; returns what the browser complained about."""
    problems = []
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.on("console", lambda message: message.type in ("error", "warning") and problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(url)
        try:
            do(page)
        finally:
            browser.close()
    return problems


def test_the_page_finds_and_opens_operations_without_a_complaint(chromium):
    seen = {}

    def use(page):
        seen["all"] = page.locator("[data-operation]").count()
        page.get_by_label("Find an operation").fill("trading-signals executions")
        seen["found"] = page.locator("[data-operation]:visible").count()
        page.get_by_label("Find an operation").fill("")
        page.locator("#createAgent summary").click()
        seen["curl"] = page.locator("#createAgent pre").first.inner_text()
        if os.environ.get("E2E_SCREENSHOTS"):
            page.screenshot(path=os.environ["E2E_SCREENSHOTS"] + "/api.png")

    with own_valkey() as valkey, web_server(valkey.redis_url) as server:
        problems = visit(chromium, f"http://127.0.0.1:{server.port}/api/v1/docs", use)

    assert problems == []
    assert seen["all"] > 60
    assert 1 <= seen["found"] < 10
    assert "$NEXGENT/agents" in seen["curl"]
