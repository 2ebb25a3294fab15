"""The abuse table: each attack with the status and the code it meets; the table names those that other tests make."""

import csv
import io

import pytest

from tests.integration.api_trading import inline_prices, seller  # noqa: F401
from tests.security import estate, table
from tests.security.attacks import ATTACKS, SIGNAL, SIGNALS, Attack, Scene
from tests.security.people import browser_of, client_of

pytestmark = pytest.mark.django_db(transaction=True)
TWELVE = {
    *("brute force", "token reuse", "revoked key", "expired ticket", "cross-workspace ids", "oversized frames"),
    *("slow bodies", "header injection", "JSON bombs", "right-to-left and emoji symbols", "clock skew"),
    "formula cells",
}


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
    found = list(table.rows())

    with capsys.disabled():
        print("\n" + "\n".join(table.lines()))
    names = [row.name for row in found]
    assert len(names) == len(set(names)) > 75
    assert {row.subject for row in found} == {*TWELVE, "also"}
    assert {attack.status for attack in ATTACKS} >= {200, 201, 302, 400, 401, 403, 404, 405, 413, 415, 423, 429}


@pytest.mark.parametrize("proof", table.PROOFS, ids=lambda proof: proof.name)
def test_what_another_test_proves_is_what_that_test_looks_for(proof: table.Proof):
    assert table.untrue(proof) == []
    assert proof.subject in table.SUBJECTS


def test_a_row_whose_test_is_gone_or_looks_for_something_else_is_found():
    here = "security/test_abuse.py::"

    assert table.untrue(table.Proof("slow bodies", "x", "408", f"{here}test_gone")) == [f"{here}test_gone"]
    assert table.untrue(table.Proof("slow bodies", "x", "999 GONE", f"{here}{_is_number.__name__}")) == ["999", "GONE"]


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

    assert answer.status_code == 200
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))
    cells = [cell for row in rows for cell in row]
    assert any(symbol.strip() in cell for cell in cells)
    assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(cell)] == []


def _is_number(cell: str) -> bool:
    return cell[1:].replace(".", "", 1).isdigit()
