"""Values on the wire: times, decimals, numbers, bodies."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from nexgent.api import wire
from nexgent.api.rendering import dumps, loads
from nexgent.errors import InvalidInput, NotFound, Refusal, status_of


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 11, 21, 15, 4, 5, 123999, tzinfo=UTC), "2026-11-21T15:04:05.123Z"),
        (datetime(2026, 11, 21, tzinfo=UTC), "2026-11-21T00:00:00.000Z"),
        (datetime(2026, 11, 21, 15, 0, tzinfo=timezone(timedelta(hours=2))), "2026-11-21T13:00:00.000Z"),
    ],
)
def test_times_are_utc_with_three_decimals(at, text):
    assert wire.stamp(at) == text


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        ("0.000000000000000000000001", None, b"0.000000000000000000000001"),
        ("1E+3", None, b"1000"),
        ("1.500", None, b"1.5"),
        ("-0", None, b"0"),
        ("33.333333333333333", 4, b"33.3333"),
        ("12345678901234567890.5", None, b"12345678901234567890.5"),
    ],
)
def test_numbers_are_exact_and_plain(value, places, text):
    assert dumps(wire.number(Decimal(value), places=places)) == text


def test_lamports_go_out_as_sol():
    assert wire.sol_text(1) == "0.000000001"
    assert dumps(wire.sol_number(1_500_000_000)) == b"1.5"


def test_a_fraction_arrives_as_a_decimal_and_never_as_a_float():
    body = loads(b'{"a": 0.1, "b": 1, "c": [1e-9]}')

    assert body == {"a": Decimal("0.1"), "b": 1, "c": [Decimal("1e-9")]}
    assert isinstance(body["a"], Decimal)


@pytest.mark.parametrize(
    "raw",
    [b"NaN", b"Infinity", b"1e61", b"1e-61", b'"\\u0000"', b'"\\ud800"', b"\xff", b"[" * 5000, b"[[" * 20 + b"]]" * 20],
)
def test_what_is_no_json_of_ours_is_refused(raw):
    with pytest.raises(ValueError, match=r"."):
        loads(raw)


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (InvalidInput({"a": "b"}), 400),
        (NotFound("agent"), 404),
        (Refusal("SALE_IN_PROGRESS"), 409),
        (Refusal("EXECUTION_FAILED"), 502),
        (Refusal("BELOW_MINIMUM_TRADE"), 400),
        (Refusal("RATE_LIMITED"), 429),
    ],
)
def test_d30_every_code_has_one_status(problem, status):
    assert problem.status == status == status_of(problem.code)
