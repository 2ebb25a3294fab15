"""CSV exports: cells no spreadsheet runs, in the order of time, batch by batch."""

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from asgiref.testing import ApplicationCommunicator
from hypothesis import given
from hypothesis import strategies as st

from nexgent.accounts.models import Membership
from nexgent.api import sheets
from nexgent.asgi import http
from signals.models import Signal
from tests.integration.api_client import signed_in
from tests.integration.api_trading import MINT

AT = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)


def make_signals(count, *, email="a@example.com"):
    """As many signals of the user's workspace, a minute apart, the ids against the times."""
    membership = Membership.objects.get(user__email=email)
    Signal.objects.bulk_create(
        Signal(
            workspace_id=membership.workspace_id,
            user_id=membership.user_id,
            token_address=MINT,
            signal_type="T",
            signal_strength=3,
            received_at=AT,
            created_at=AT + timedelta(minutes=number),
            updated_at=AT,
        )
        for number in range(count)
    )


def rows_of(text):
    return list(csv.reader(io.StringIO(text)))


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=20))
def test_a_text_cell_never_begins_a_formula_and_comes_back_whole(value):
    cell = sheets.text(value)

    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell in (value, f"'{value}")
    assert cell.removeprefix("'") == value.removeprefix("'")


@pytest.mark.parametrize(
    ("value", "places", "is_signed", "cell"),
    [
        (Decimal("-1.005"), 2, True, "-1.00"),
        (Decimal("1.015"), 2, True, "+1.02"),
        (Decimal("-0.001"), 2, True, "0.00"),
        (Decimal("0"), 4, True, "0.0000"),
        (Decimal("1E-9"), 10, False, "0.0000000010"),
        (Decimal("12345678901234567890.5"), 2, False, "12345678901234567890.50"),
        (None, 2, True, ""),
    ],
)
def test_number_cells_are_plain_and_keep_their_sign(value, places, is_signed, cell):
    assert sheets.number(value, places=places, is_signed=is_signed) == cell


def test_times_are_those_of_the_readers_zone_over_the_change_of_summer_time():
    berlin = ZoneInfo("Europe/Berlin")

    assert sheets.moment(AT, berlin) == "2026-03-29 01:30:00"
    assert sheets.moment(AT + timedelta(hours=1), berlin) == "2026-03-29 03:30:00"


@pytest.mark.django_db
def test_an_export_longer_than_a_batch_is_whole_and_in_order():
    api = signed_in("a@example.com")
    make_signals(2 * sheets.BATCH + 1)

    answer = api.get("/api/v1/trading-signals/export")

    rows = rows_of(b"".join(answer.streaming_content).decode())
    times = [row[1] for row in rows[1:]]
    assert len(times) == 2 * sheets.BATCH + 1
    assert times == sorted(times)
    assert len({row[0] for row in rows[1:]}) == len(times)


async def received(scope):
    """The start of the answer and the parts of its body, as the web server sends them."""
    client = ApplicationCommunicator(http, scope)
    await client.send_input({"type": "http.request", "body": b""})
    start, parts = await client.receive_output(10), []
    while (part := await client.receive_output(10))["more_body"]:
        parts.append(part["body"])
    await client.wait(10)
    return start, parts


@pytest.mark.django_db(transaction=True)
def test_the_web_server_sends_batch_by_batch():
    api = signed_in("a@example.com")
    make_signals(2 * sheets.BATCH)
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/api/v1/trading-signals/export",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"authorization", api.headers["Authorization"].encode())],
        "client": ("10.9.9.9", 1),
    }

    start, parts = asyncio.run(received(scope))

    assert start["status"] == 200
    assert dict(start["headers"])[b"Content-Type"] == b"text/csv; charset=utf-8"
    assert [len(rows_of(part.decode())) for part in parts] == [1 + sheets.BATCH, sheets.BATCH]
