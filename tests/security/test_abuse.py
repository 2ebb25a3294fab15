"""The abuse table: each attack with the status and the code it meets (slow and broken requests: test_abuse_server)."""

import csv
import io

import pytest

from tests.integration.api_trading import inline_prices, seller  # noqa: F401
from tests.security import estate
from tests.security.attacks import ATTACKS, SIGNAL, SIGNALS, Attack, Scene
from tests.security.people import browser_of, client_of

pytestmark = pytest.mark.django_db(transaction=True)


def code_of(answer):
    is_json = answer.headers.get("Content-Type") == "application/json" and not answer.streaming
    body = answer.json() if is_json and answer.content else {}
    return body.get("code", "") if isinstance(body, dict) else ""


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_meets_what_the_table_says(attack: Attack, monkeypatch):
    answer = attack.run(Scene(monkeypatch))

    assert (answer.status_code, code_of(answer) if attack.code else "") == (attack.status, attack.code), answer.content
    assert "Traceback" not in answer.content.decode(errors="replace")


def test_the_table_is_printed_and_complete(capsys):
    names = [attack.name for attack in ATTACKS]
    width = max(map(len, names))

    with capsys.disabled():
        print(f"\nabuse: {len(ATTACKS)} attacks")
        for attack in ATTACKS:
            print(f"  {attack.name:<{width}}  {attack.status} {attack.code}")
    assert len(names) == len(set(names)) > 60
    assert {attack.status for attack in ATTACKS} >= {200, 201, 302, 400, 401, 403, 404, 405, 413, 415, 423, 429}


def test_symbols_are_stored_whole_and_shown_as_text(monkeypatch):
    scene = Scene(monkeypatch)
    symbols = ["\u202eKNOB", "🚀👩‍👩‍👧", "<script>alert(1)</script>", "'; DROP TABLE x; --"]
    for number, symbol in enumerate(symbols):
        assert scene.signal({**SIGNAL, "symbol": symbol, "signalType": f"kind {number}"}).status_code == 201

    assert [row["symbol"] for row in reversed(scene.api.get(SIGNALS).json())] == symbols
    admin = browser_of(scene.owner).get("/admin/signals/signal/").content.decode()
    assert "<script>alert(1)" not in admin
    assert "&lt;script&gt;alert(1)" in admin


@pytest.mark.parametrize("symbol", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "=HYPERLINK(1)"])
@pytest.mark.usefixtures("inline_prices", "seller")
def test_formula_cells_of_exports_are_text(symbol):
    owner = estate.of_person("owner@example.com")
    signal = {**SIGNAL, "symbol": symbol.strip(), "signalType": "Formula", "activationReason": symbol}
    assert client_of(owner.owner).post(SIGNALS, signal).status_code == 201

    answer = owner.api.get("/api/v1/trading-signals/export")

    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))
    cells = [cell for row in rows for cell in row]
    assert any(symbol.strip() in cell for cell in cells)
    assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(cell)] == []


def _is_number(cell: str) -> bool:
    return cell[1:].replace(".", "", 1).isdigit()
