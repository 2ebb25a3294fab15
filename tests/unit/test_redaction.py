"""No secret in a log: canaries through every way a record can carry one."""

import json
import logging

import pytest
import structlog
from solders.keypair import Keypair

from nexgent.runtime import logs
from nexgent.runtime.redaction import HIDDEN, Redactor

CANARY = "c4n4ry-c4n4ry-c4n4ry"
PAIR = Keypair.from_seed(bytes(range(32)))
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VySWQiOiIxIn0.dGhpc2lzYXNpZ25hdHVyZQ"
API_KEY = "nex_QmFzZTY0dXJsIG9mIDI0IGJ5dGVz"


@pytest.fixture
def lines(capsys):
    """What a process writes with production's logging; the former logging comes back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(level="INFO", form="json", process="web", secrets=[CANARY])
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"GET /ws?token={JWT}&agentId=7 200", f"GET /ws?token={HIDDEN}&agentId=7 200"),
        ("GET /ws?ticket=abc&agentId=7", f"GET /ws?ticket={HIDDEN}&agentId=7"),
        ("/x?agentId=7&token=opaque", f"/x?agentId=7&token={HIDDEN}"),
        (f"found {JWT} somewhere", f"found {HIDDEN} somewhere"),
        (f"key {API_KEY} used", f"key {HIDDEN} used"),
        ("Authorization: Bearer abc.def-ghi", f"Authorization: {HIDDEN} {HIDDEN}"),
        ("postgresql://nexgent:p%40ss@host/db", f"postgresql://nexgent:{HIDDEN}@host/db"),
        ("redis://:pass@host:6379/0", f"redis://:{HIDDEN}@host:6379/0"),
        ('{"password": "open sesame"}', f'{{"password": "{HIDDEN} sesame"}}'),
        ("X-API-Key: abcdef", f"X-API-Key: {HIDDEN}"),
        (f"JUPITER_API_KEY={CANARY}", f"JUPITER_API_KEY={HIDDEN}"),
        (f"signed with {PAIR}", f"signed with {HIDDEN}"),
        (f"raw {list(bytes(PAIR))}", f"raw {HIDDEN}"),
        ("refreshToken='abc'", f"refreshToken='{HIDDEN}'"),
    ],
)
def test_a_secret_in_text_is_hidden(text, expected):
    assert Redactor().text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "tokenAddress=So11111111111111111111111111111111111111112",
        f"signature {PAIR.sign_message(b'x')}",
        "mint So11111111111111111111111111111111111111112 price 0.001",
        "tokens: 5, units: 12345",
        "order 0193-4567 filled at 0.00120000",
    ],
)
def test_what_is_no_secret_stays(text):
    assert Redactor().text(text) == text


def test_hiding_twice_changes_nothing():
    once = Redactor([CANARY]).text(f"token={CANARY} password: x Bearer abcdefgh")

    assert Redactor([CANARY]).text(once) == once


def test_a_field_with_a_secret_name_is_hidden_whole():
    record = {"password": "a b", "nested": [{"refreshToken": "x"}], "inputToken": "So1", "must_change_password": True}

    assert Redactor().record(record) == {
        "password": HIDDEN,
        "nested": [{"refreshToken": HIDDEN}],
        "inputToken": "So1",
        "must_change_password": True,
    }


def test_a_configured_secret_never_reaches_a_line(lines):
    log = logging.getLogger("some.module")
    log.warning("in the message %s", CANARY)
    log.warning("in a field", extra={"harmless": {"deep": [CANARY]}})
    structlog.get_logger("other").warning("bound", value=CANARY)
    try:
        raise ValueError(CANARY)
    except ValueError:
        log.exception("in a traceback")

    written = lines()

    assert [line["event"] for line in written][1:] == ["in a field", "bound", "in a traceback"]
    assert CANARY not in json.dumps(written)
    assert HIDDEN in written[3]["exception"]


def test_ids_of_a_trade_stand_on_every_line_written_below(lines):
    with structlog.contextvars.bound_contextvars(order_id="o-1", position_id="p-1"):
        logging.getLogger("engine").info("booked %s", 5)
    logging.getLogger("engine").info("outside")

    inside, outside = lines()

    assert (inside["event"], inside["order_id"], inside["position_id"]) == ("booked 5", "o-1", "p-1")
    assert (inside["process"], inside["level"], inside["logger"]) == ("web", "info", "engine")
    assert "order_id" not in outside
