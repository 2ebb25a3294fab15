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


CUT = """() => {
  const cut = []
  for (const summary of document.querySelectorAll('.operation summary')) {
    for (const part of summary.children) {
      const isHidden = getComputedStyle(part).overflow !== 'visible'
      if (isHidden && part.scrollWidth > part.clientWidth) cut.push(part.textContent)
      if (part.getBoundingClientRect().right > summary.getBoundingClientRect().right) cut.push(part.textContent)
    }
  }
  return cut
}"""
BROKEN = r"""() => {
  const broken = []
  for (const code of document.querySelectorAll('.operation summary code')) {
    const walk = document.createTreeWalker(code, NodeFilter.SHOW_TEXT)
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      for (const match of node.data.matchAll(/[^/]+/g)) {
        const range = document.createRange()
        range.setStart(node, match.index)
        range.setEnd(node, match.index + match[0].length)
        if (range.getClientRects().length > 1) broken.push(match[0])
      }
    }
  }
  return broken
}"""
WIDTHS = (390, 1440)


def test_no_summary_is_cut_and_no_word_of_a_path_is_broken_on_a_phone_or_a_desk(chromium):
    seen = {}
    with (
        own_valkey() as valkey,
        web_server(valkey.redis_url) as server,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]) as browser,
    ):
        for width in WIDTHS:
            for theme in ("light", "dark"):
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
                page.goto(f"http://127.0.0.1:{server.port}/api/v1/docs")
                cut, broken = page.evaluate(CUT), page.evaluate(BROKEN)
                _shoot(page, f"api-{width}-{theme}")
                page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                seen[width, theme] = (cut, broken, max(wide, 0))

    assert seen == {(width, theme): ([], [], 0) for width in WIDTHS for theme in ("light", "dark")}


def _shoot(page, name):
    """Pictures for people, of the list and of an operation, where a folder is given."""
    folder = os.environ.get("E2E_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png")
        page.locator("#listVerdicts summary").click()
        page.locator("#listVerdicts").scroll_into_view_if_needed()
        page.screenshot(path=f"{folder}/{name}-open.png")
