"""Numbers of a request: exact, whole ones whole, none too large to be told again."""

from decimal import Decimal

import pytest

from nexgent.api.rendering import dumps, loads


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"5", 5),
        (b"5.0", 5),
        (b"-1e3", -1000),
        (b"0.1", Decimal("0.1")),
        (b"9223372036854775807", 2**63 - 1),
        (b"9223372036854775808", Decimal(2**63)),
        (b"-123456789012345678901234567890", Decimal("-123456789012345678901234567890")),
        (b"1e30", Decimal("1e30")),
    ],
)
def test_a_number_is_read_exactly_and_whole_when_it_is(text, value):
    read = loads(text)

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("text", [b"1e61", b"1e-61", b"1" * 62, b"9" * 5000, b"NaN", b"-Infinity"])
def test_a_number_out_of_all_measure_is_refused(text):
    with pytest.raises(ValueError, match=r"number|JSON"):
        loads(text)


def test_what_was_read_can_be_told_again():
    text = b'{"a":9223372036854775808,"b":0.1,"c":[1000,-7]}'

    assert dumps(loads(text)) == text
