"""How numbers look on a page."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from nexgent import clock
from nexgent.web.portfolio import duration
from nexgent.web.templatetags import figures


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        ("0", "0"),
        ("123456.7", "123,457"),
        ("2.5", "2.5000"),
        ("0.0031", "0.0031000"),
        ("0.000123456", "0.00012346"),
        ("0.0000123456", '0.0<sub class="zeros">4</sub>12346'),
        ("0.00000012", '0.0<sub class="zeros">6</sub>12000'),
    ],
)
def test_a_price_has_five_digits_that_count(value: str | None, shown: str) -> None:
    assert figures.price(None if value is None else Decimal(value)) == shown


def test_sol_has_four_places_a_minus_and_no_sign_at_zero() -> None:
    assert figures.sol(None) == "–"
    assert figures.sol(1_234_567_890_123) == "1,234.5679"
    assert figures.sol(-1_500_000_000) == "−1.5000"
    assert figures.signed_sol(49_999) == "0.0000"
    assert figures.signed_sol(-49_999) == "0.0000"
    assert figures.signed_sol(1_500_000_000) == "+1.5000"
    assert figures.signed_sol(-100_000) == "−0.0001"


def test_percentages_carry_their_sign() -> None:
    assert figures.percent(None) == "–"
    assert figures.percent(Decimal("12.345")) == "+12.34 %"
    assert figures.percent(Decimal("-0.004")) == "0.00 %"
    assert figures.level(Decimal("-32")) == "−32 %"
    assert figures.level(Decimal("14.99999")) == "+15 %"
    assert figures.level(Decimal("33.25")) == "+33.2 %"


def test_what_is_shown_as_zero_has_no_direction() -> None:
    assert figures.trend(None) == "flat"
    assert figures.trend(40_000) == "flat"
    assert figures.trend(60_000) == "up"
    assert figures.trend(Decimal("-0.004")) == "flat"
    assert figures.trend(Decimal("-0.006")) == "down"


def test_a_time_has_one_form_on_every_page() -> None:
    now = clock.now()

    assert figures.moment(now.replace(month=3, day=5, hour=9, minute=4)) == "5 Mar, 09:04 UTC"
    assert figures.moment(datetime(2019, 11, 21, 21, 35, tzinfo=UTC)) == "21 Nov 2019, 21:35 UTC"


def test_an_address_shows_its_ends() -> None:
    assert figures.short("DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263") == "DezX…B263"
    assert figures.short("short") == "short"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3_725, "1 h 2 min"), (90_000, "1 d 1 h")],
)
def test_a_length_of_time_has_two_units(seconds: int, shown: str) -> None:
    assert duration(timedelta(seconds=seconds)) == shown
