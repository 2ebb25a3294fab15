"""Lists over REST: cursors that stand still while rows come in, sorts, search, totals, tags of what did not change."""

import re
from itertools import chain
from urllib.parse import parse_qs, urlsplit

import pytest

from nexgent import clock
from nexgent.events import alarms
from tests.integration.api_client import signed_in
from tests.integration.api_trading import MINT, buy, deposit, inline_prices, seller, tick, trader  # noqa: F401
from wallets.models import Wallet

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inline_prices")]
SIGNALS = "/api/v1/trading-signals"


def signal(api, number, **extra):
    body = {"tokenAddress": MINT, "signalType": f"T{number:02d}", "signalStrength": 3, **extra}
    answer = api.post(SIGNALS, body)
    assert answer.status_code == 201, answer.json()
    return answer.json()["id"]


def following(answer):
    """The target of rel="next", None on the last page."""
    match = re.fullmatch(r'<([^>]+)>; rel="next"', answer.headers.get("Link", ""))
    return match and match[1]


def walk(api, path, query=None, *, between=lambda: None):
    """Every page's ids, going from Link to Link."""
    pages, answer = [], api.get(path, query)
    while True:
        assert answer.status_code == 200, answer.json()
        pages.append([row["id"] for row in answer.json()])
        path = following(answer)
        if path is None:
            return pages
        between()
        answer = api.get(path)


def test_a_cursor_walks_every_row_once_while_rows_come_in():
    api = signed_in("a@example.com")
    ids = [signal(api, number) for number in range(7)]
    fresh = iter(range(10, 90))

    pages = walk(api, SIGNALS, {"limit": 3}, between=lambda: signal(api, next(fresh)))

    assert pages == [ids[:3:-1], ids[3:0:-1], ids[:1]]


def test_an_offset_shifts_where_a_cursor_does_not():
    api = signed_in("a@example.com")
    ids = [signal(api, number) for number in range(4)]
    first = api.get(SIGNALS, {"limit": 2})

    signal(api, 9)

    assert [row["id"] for row in api.get(SIGNALS, {"limit": 2, "offset": 2}).json()] == [ids[2], ids[1]]
    assert [row["id"] for row in api.get(following(first)).json()] == [ids[1], ids[0]]


def test_equal_sort_values_are_told_apart_by_the_id():
    api = signed_in("a@example.com")
    ids = [signal(api, number, signalStrength=strength) for number, strength in enumerate([3, 3, 1, 3, 5, 1])]

    falling = walk(api, SIGNALS, {"limit": 2, "sort": "-signalStrength"})
    rising = walk(api, SIGNALS, {"limit": 4, "sort": "signalStrength"})

    assert falling == [[ids[4], ids[3]], [ids[1], ids[0]], [ids[5], ids[2]]]
    assert [*chain(*rising)] == [*chain(*falling)][::-1]


def test_the_cursor_keeps_filters_and_sort_and_the_last_page_has_no_next():
    api = signed_in("a@example.com")
    wanted = [signal(api, number, source="bot") for number in range(3)]
    signal(api, 8, source="other")

    first = api.get(SIGNALS, {"limit": 2, "source": "bot", "sort": "createdAt"})

    link = parse_qs(urlsplit(following(first)).query)
    assert (link["source"], link["sort"], link["limit"]) == (["bot"], ["createdAt"], ["2"])
    second = api.get(following(first))
    assert [row["id"] for row in second.json()] == [wanted[2]]
    assert "Link" not in second.headers


def test_the_total_is_counted_on_request_for_the_filtered_list():
    api = signed_in("a@example.com")
    for number in range(5):
        signal(api, number, source="bot" if number < 3 else "other")

    plain = api.get(SIGNALS, {"limit": 2})
    counted = api.get(SIGNALS, {"limit": 2, "source": "bot", "total": "true"})

    assert "X-Total-Count" not in plain.headers
    assert counted.headers["X-Total-Count"] == "3"
    assert api.get(following(counted)).headers["X-Total-Count"] == "3"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "WyJhIl0:AAAA"}, "cursor"),
        ({"cursor": "x" * 1001}, "cursor"),
        ({"sort": "signalStrenght"}, "sort"),
        ({"sort": "--createdAt"}, "sort"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"offset": "-1"}, "offset"),
        ({"total": "yes"}, "total"),
    ],
)
def test_a_wrong_window_names_its_field(query, field):
    answer = signed_in("a@example.com").get(SIGNALS, query)

    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert [error["field"] for error in answer.json()["details"]["errors"]] == [field]


def test_a_cursor_belongs_to_its_list_and_sort():
    api, agent = trader()
    deposit(api, agent, "1")
    for number in range(3):
        signal(api, number)
    cursor = parse_qs(urlsplit(following(api.get(SIGNALS, {"limit": 1}))).query)["cursor"][0]

    elsewhere = api.get("/api/v1/agent-transactions", {"agentId": agent, "cursor": cursor})
    resorted = api.get(SIGNALS, {"cursor": cursor, "sort": "createdAt"})
    shifted = api.get(SIGNALS, {"cursor": cursor, "offset": 1})
    changed = api.get(SIGNALS, {"cursor": cursor[:-1] + ("A" if cursor[-1] != "A" else "B")})

    assert [a.status_code for a in (elsewhere, resorted, shifted, changed)] == [400, 400, 400, 400]


def test_signals_are_searched_in_all_their_texts():
    api = signed_in("a@example.com")
    by_source = signal(api, 1, source="Telegram 50%_off")
    by_reason = signal(api, 2, activationReason="volume x TELEGRAM")
    signal(api, 3)

    assert [row["id"] for row in api.get(SIGNALS, {"q": "telegram"}).json()] == [by_reason, by_source]
    assert [row["id"] for row in api.get(SIGNALS, {"q": "50%_O"}).json()] == [by_source]
    assert api.get(SIGNALS, {"q": "nothing"}).json() == []


def test_agents_come_whole_unless_a_page_is_asked_for():
    api, _ = trader(sol=None)
    for name in ("Delta", "Alpha", "Alpine", "Zulu"):
        api.post("/api/v1/agents", {"name": name})

    assert len(api.get("/api/v1/agents").json()) == 5
    first = api.get("/api/v1/agents", {"sort": "-name", "limit": 2})
    assert [row["name"] for row in first.json()] == ["Zulu", "Momentum"]
    assert len(walk(api, "/api/v1/agents", {"limit": 2})) == 3
    assert {row["name"] for row in api.get("/api/v1/agents", {"q": "alp"}).json()} == {"Alpha", "Alpine"}


def test_transactions_page_by_cursor_and_are_searched():
    api, agent = trader(sol=None)
    ids = [deposit(api, agent, str(number)).json()["id"] for number in range(1, 6)]
    oddity = deposit(api, agent, "1", kind="ADJUSTMENT", reason="Lost the KEYS").json()["id"]
    path = "/api/v1/agent-transactions"

    pages = walk(api, path, {"agentId": agent, "limit": 4}, between=lambda: deposit(api, agent, "9"))
    counted = api.get(path, {"agentId": agent, "limit": 1, "total": "true", "transactionType": "ADJUSTMENT"})

    assert pages == [[oddity, *ids[:1:-1]], [ids[1], ids[0]]]
    assert counted.headers["X-Total-Count"] == "1"
    assert [row["id"] for row in api.get(path, {"agentId": agent, "q": "lost the keys"}).json()] == [oddity]
    assert walk(api, path, {"agentId": agent, "sort": "transactionTime", "limit": 3})[0] == ids[:3]


@pytest.mark.usefixtures("seller")
def test_closed_trades_are_sorted_by_profit_and_searched():
    api, agent = trader()
    for price in ("0.0015", "0.0008", "0.002"):
        tick("0.001")
        position = buy(api, agent).json()["positionId"]
        tick(price)
        assert api.post(f"/api/v1/agent-positions/{agent}/{position}/close").status_code == 200
    path = "/api/v1/agent-historical-swaps"

    best = api.get(path, {"agentId": agent, "sort": "-profitLossSol", "limit": 2, "total": "true"})

    assert [row["profitLossSol"] for row in best.json()] == ["1", "0.5"]
    assert best.headers["X-Total-Count"] == "3"
    assert [row["profitLossSol"] for row in api.get(following(best)).json()] == ["-0.2"]
    assert len(api.get(path, {"agentId": agent, "q": "bonk"}).json()) == 3
    assert api.get(path, {"agentId": agent, "q": "wif"}).json() == []


def test_configuration_versions_page_by_cursor():
    api, agent = trader(sol=None)
    for _ in range(4):
        api.put(f"/api/v1/agents/{agent}/config", {"config": None})

    path, seen = f"/api/v1/agents/{agent}/config/versions", []
    answer = api.get(path, {"limit": 2})
    while path := following(answer):
        seen += [row["version"] for row in answer.json()]
        answer = api.get(path)

    assert seen + [row["version"] for row in answer.json()] == [5, 4, 3, 2, 1]


def test_an_unchanged_list_is_304_without_a_body_and_a_changed_one_is_not():
    api = signed_in("a@example.com")
    signal(api, 1)
    signal(api, 2)
    first = api.get(SIGNALS, {"limit": 1, "total": "true"})
    tag = first.headers["ETag"]

    same = api.get(SIGNALS, {"limit": 1, "total": "true"}, **{"If-None-Match": f'"other", {tag}'})
    signal(api, 3)
    changed = api.get(SIGNALS, {"limit": 1}, **{"If-None-Match": tag})

    assert re.fullmatch(r'W/"[0-9a-f]{24}"', tag)
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    assert (same.headers["Link"], same.headers["X-Total-Count"]) == (first.headers["Link"], "2")
    assert same.headers["x-request-id"]
    assert (changed.status_code, changed.headers["ETag"] != tag) == (200, True)


def test_a_tag_is_of_lists_and_of_what_has_a_version_not_of_refusals():
    api, agent = trader(sol=None)
    config = api.get(f"/api/v1/agents/{agent}/config")

    assert api.get(f"/api/v1/agents/{agent}/config", **{"If-None-Match": config.headers["ETag"]}).status_code == 304
    assert "ETag" not in api.get(f"/api/v1/agents/{agent}").headers
    assert api.get("/api/v1/agents", **{"If-None-Match": "*"}).status_code == 304
    refused = api.get(SIGNALS, {"limit": 0}, **{"If-None-Match": "*"})
    assert (refused.status_code, "ETag" in refused.headers) == (400, False)


def test_a_tag_of_one_reader_tells_another_nothing():
    mine, other = signed_in("a@example.com"), signed_in("b@example.com")
    signal(mine, 1)
    tag = mine.get(SIGNALS).headers["ETag"]

    assert other.get(SIGNALS, **{"If-None-Match": tag}).json() == []


def test_open_positions_come_whole_or_by_page():
    api, agent = trader()
    mints = (MINT, "EKpQGSJtjMFqKZ9KQanSqYXRcF8fBopzLHYxdM65zcjm", "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")
    ids = []
    for symbol, mint in zip(("BONK", "WIF", "JUP"), mints, strict=True):
        tick("0.001", mint=mint)
        ids.append(buy(api, agent, "0.1", tokenAddress=mint, tokenSymbol=symbol).json()["positionId"])
    path = f"/api/v1/agent-positions/{agent}"

    assert [row["id"] for row in api.get(path).json()] == ids[::-1]
    assert walk(api, path, {"limit": 2}) == [[ids[2], ids[1]], [ids[0]]]
    assert [row["id"] for row in api.get(path, {"q": "wif"}).json()] == [ids[1]]


def test_alarms_page_by_cursor():
    api = signed_in("a@example.com")
    for number in range(3):
        alarms.raise_alarm("NO_FEED", subject=str(number), at=clock.now())

    assert [len(page) for page in walk(api, "/api/v1/alarms", {"limit": 2})] == [2, 1]
    assert api.get("/api/v1/alarms", {"sort": "code"}).status_code == 400


@pytest.mark.usefixtures("seller")
def test_a_reset_with_a_key_happens_once():
    api, agent = trader()
    wallet = api.get(f"/api/v1/wallets/agent/{agent}").json()["agentWallets"][0]["walletAddress"]
    path, body = f"/api/v1/wallets/{wallet}/reset", {"confirm": True}

    first = api.post(path, body, **{"Idempotency-Key": "r"})
    deposit(api, agent, "3")
    again = api.post(path, body, **{"Idempotency-Key": "r"})

    assert (first.status_code, again.status_code) == (200, 200), first.json()
    assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")
    assert Wallet.objects.get(address=wallet).epoch == 2
    assert [row["balance"] for row in api.get("/api/v1/agent-balances", {"agentId": agent}).json()] == ["3"]


def test_a_page_of_another_site_may_read_the_headers_of_a_list(settings):
    settings.CORS_ORIGIN = ["https://bot.example"]
    api = signed_in("a@example.com")

    answer = api.get(SIGNALS, Origin="https://bot.example")

    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"Link", "X-Total-Count", "ETag"} <= set(exposed)
