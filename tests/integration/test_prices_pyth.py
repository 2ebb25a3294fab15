"""SOL/USD from Pyth: streamed, polled when the stream is away, refused without a key."""

import uuid
from collections.abc import Iterator

import pytest

from prices.budget import Budget
from prices.feeds import pyth
from prices.feeds.provider import Provider
from prices.records import PriceTick
from tests.fakes.loopback import until
from tests.fakes.pyth import FakePyth


@pytest.fixture
def server() -> Iterator[FakePyth]:
    with FakePyth() as fake:
        yield fake


def stream(server: FakePyth, ticks: list[PriceTick], *, key: str = "") -> pyth.PythStream:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    provider = Provider("pyth", url=server.url, budget=Budget(f"p-{uuid.uuid4()}", 10_000), headers=headers)
    return pyth.PythStream(provider, ticks.append)


def test_prices_come_by_stream(server: FakePyth) -> None:
    ticks: list[PriceTick] = []
    source = stream(server, ticks)
    source.start()
    try:
        assert until(lambda: len(ticks) >= 3)
        server.price = "16000000000"
        assert until(lambda: ticks[-1].price_usd == 160)
        assert source.is_streaming
    finally:
        source.stop()
    assert {tick.source for tick in ticks} == {"pyth"}


def test_a_stream_that_ends_is_polled_and_opened_again(server: FakePyth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyth, "RECONNECT_SECONDS", 0.2)
    server.events_per_stream = 1
    ticks: list[PriceTick] = []
    source = stream(server, ticks)
    source.start()
    try:
        assert until(lambda: server.streams >= 2)
        assert until(lambda: any(path.endswith("/latest") for path, _, _ in server.requests))
    finally:
        source.stop()
    assert len(ticks) >= 2


def test_a_round_that_fails_for_whatever_reason_ends_no_stream(
    server: FakePyth, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pyth, "RECONNECT_SECONDS", 0.05)
    ticks: list[PriceTick] = []
    source = stream(server, ticks)

    def fails_once(tick: PriceTick) -> None:
        if "went wrong" not in caplog.text:
            raise LookupError("went wrong")
        ticks.append(tick)

    source.on_tick = fails_once
    source.start()
    try:
        assert until(lambda: bool(ticks))
    finally:
        source.stop()
    assert "pyth: a round failed" in caplog.text


def test_the_key_is_sent() -> None:
    with FakePyth(key="secret") as server:
        ticks: list[PriceTick] = []
        source = stream(server, ticks, key="secret")
        source.start()
        try:
            assert until(lambda: bool(ticks))
        finally:
            source.stop()


def test_d2_without_a_key_there_is_no_price_and_no_hammering() -> None:
    with FakePyth(key="secret") as server:
        ticks: list[PriceTick] = []
        source = stream(server, ticks)
        source.start()
        try:
            assert until(lambda: source.problem.startswith("refused"))
        finally:
            source.stop()
        assert ticks == []
        assert len(server.requests) == 1


def test_d2_a_poll_of_an_old_price_gives_none(server: FakePyth) -> None:
    server.age_seconds = 40
    ticks: list[PriceTick] = []
    source = stream(server, ticks)

    assert source.poll() is False
    assert ticks == []
    assert "too old" in source.problem
    server.age_seconds = 1
    assert source.poll() is True
    assert ticks[0].price_usd == 150
    source.stop()
