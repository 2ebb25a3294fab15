"""Delivery under stress: prices, silent and slow clients, an outage of Valkey, credentials that end."""

import asyncio
import itertools
import time

import orjson
import pytest
from websockets.asyncio.client import ClientConnection

from nexgent.accounts import tokens
from nexgent.events import bell
from nexgent.events.channels import PRICES
from nexgent.runtime.embedded import EmbeddedServers
from tests.servers import WebServer
from tests.streams.sockets import Someone, closed, do, happen, large, open_socket, opened, receive, someone

pytestmark = pytest.mark.django_db(transaction=True)
MINT = "So11111111111111111111111111111111111111112"
OTHER = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"


@pytest.fixture(scope="module")
def limits() -> dict[str, float]:
    return {
        "HEAL_SECONDS": 0.25,
        "PING_SECONDS": 1,
        "PONG_SECONDS": 0.5,
        "SILENT_PINGS": 3,
        "BEHIND_SECONDS": 1.5,
        "RECHECK_SECONDS": 1,
    }


def hold(who: Someone, *mints: str) -> None:
    with bell.connect() as client:
        client.delete(f"test:held:{who.agent.id}")
        if mints:
            client.sadd(f"test:held:{who.agent.id}", *mints)


def publish(at_ms: int, *rows: list[str | None]) -> None:
    with bell.connect() as client:
        client.publish(PRICES, orjson.dumps({"t": at_ms, "prices": rows}))


async def frames(client: ClientConnection, *, seconds: float) -> list[tuple[float, str]]:
    """The price frames of the next `seconds`, each with its time of arrival; pings are not answered."""
    found, end = [], time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            text = await asyncio.wait_for(client.recv(), left)
        except TimeoutError:
            break
        if isinstance(text, str) and "price_update_batch" in text:
            found.append((time.monotonic(), text))
    return found


async def test_prices_go_to_holders_as_exact_numbers_in_exact_case(server: WebServer, who: Someone) -> None:
    # given an agent that holds one token
    hold(who, MINT)
    async with open_socket(server, who.path()) as client:
        await opened(client)
        # when two tokens change
        publish(1_777_636_800_123, [MINT, "0.000000012345678901234567", "1.50"], [OTHER, "3", None])
        [(_, text)] = await frames(client, seconds=0.4)
    # then
    time_text = "2026-05-01T12:00:00.123Z"
    assert text == (
        '{"type":"price_update_batch","data":{"updates":[{"tokenAddress":"' + MINT + '",'
        '"price":0.000000012345678901234567,"priceUsd":1.50}],"timestamp":"' + time_text + '"},'
        '"timestamp":"' + time_text + '"}'
    )


async def test_the_first_change_comes_at_once_then_five_frames_a_second_with_the_newest(
    server: WebServer, who: Someone
) -> None:
    hold(who, MINT)
    async with open_socket(server, who.path()) as client:
        await opened(client)
        # when a price changes every 20 ms for a second
        started = time.monotonic()
        reading = asyncio.create_task(frames(client, seconds=2))  # before its third unanswered ping, which closes
        for number in range(1, 51):
            publish(number, [MINT, str(number), None])
            await asyncio.sleep(max(0.0, started + number * 0.02 - time.monotonic()))
        found = await reading
    # then
    values = [orjson.loads(text)["data"]["updates"][0]["price"] for _, text in found]
    assert values[0] == 1
    assert found[0][0] - started < 0.15
    assert values == sorted(values)
    assert values[-1] == 50
    assert 4 <= len(values) <= 8
    assert all(later - sooner > 0.12 for (sooner, _), (later, _) in itertools.pairwise(found))


async def test_an_opened_and_a_closed_position_change_which_prices_come(server: WebServer, who: Someone) -> None:
    hold(who)
    async with open_socket(server, who.path()) as client:
        await opened(client)
        publish(1, [MINT, "1", None])
        assert await frames(client, seconds=0.2) == []
        # when a position opens
        hold(who, MINT)
        await do(happen, who.agent.id, kind="position_update", eventType="position_created", position={})
        assert (await receive(client))["seq"] == 1
        publish(2, [MINT, "2", None])
        assert len(await frames(client, seconds=0.3)) == 1
        # and closes
        hold(who)
        await do(happen, who.agent.id, kind="position_update", eventType="position_closed", positionId="p")
        assert (await receive(client))["seq"] == 2
        publish(3, [MINT, "3", None])
        assert await frames(client, seconds=0.3) == []


async def test_a_silent_client_gets_no_prices_and_is_closed_after_three_intervals(
    server: WebServer, who: Someone
) -> None:
    # given pings every second, to be answered in half of one
    hold(who, MINT)
    async with open_socket(server, who.path()) as client:
        await opened(client)
        assert (await receive(client))["type"] == "ping"
        # when the client does not answer
        publish(1, [MINT, "1", None])
        assert len(await frames(client, seconds=0.2)) == 1
        await asyncio.sleep(0.65)
        publish(2, [MINT, "2", None])
        assert await frames(client, seconds=0.2) == []
        # then
        assert await closed(client) == (1000, "Connection timeout")


async def test_a_client_that_answers_pings_stays(server: WebServer, who: Someone) -> None:
    async with open_socket(server, who.path()) as client:
        await opened(client)
        for _ in range(4):
            assert (await receive(client))["type"] == "ping"
            await client.send('{"type": "pong"}')
        await do(happen, who.agent.id)
        assert (await receive(client))["seq"] == 1


async def test_a_slow_client_is_closed_and_the_others_are_served(server: WebServer, who: Someone) -> None:
    # given two clients, one of which stops reading
    other = await do(someone)
    async with open_socket(server, who.path(), max_queue=1) as slow, open_socket(server, other.path()) as quick:
        await opened(slow)
        await opened(quick)
        slow.transport.pause_reading()
        # when 12 MB of events come
        answering = asyncio.create_task(_answer_pings(slow))
        for _ in range(30):
            await do(large, who.agent.id, 20, 20_000)
        await do(happen, other.agent.id)
        assert (await _next_event(quick))["seq"] == 1
        await asyncio.sleep(2.2)
        slow.transport.resume_reading()
        answering.cancel()
        # then
        code = (await _drained(slow))[0]
        assert code in (1013, 1006)
        assert await do(_kept, who) == 600
        # and a new connection of the same client works
        async with open_socket(server, who.path(since=599)) as again:
            assert (await receive(again))["type"] == "connected"
            assert (await receive(again))["seq"] == 600


async def test_while_valkey_is_away_events_come_within_a_second_and_prices_return_with_it(
    server: WebServer,
    who: Someone,
    valkey: EmbeddedServers,
    settings,  # type: ignore[no-untyped-def]
) -> None:
    hold(who, MINT)
    async with open_socket(server, who.path()) as client:
        await opened(client)
        # when Valkey stops
        _stop_valkey(valkey)
        await do(happen, who.agent.id, count=2)
        assert [(await _next_event(client))["seq"] for _ in range(2)] == [1, 2]
        # and comes back
        settings.REDIS_URL = valkey.start_valkey()
        hold(who, MINT)
        found: list[tuple[float, str]] = []
        for attempt in range(1, 12):
            publish(attempt, [MINT, str(attempt), None])
            await client.send('{"type": "pong"}')
            found = await frames(client, seconds=0.4)
            if found:
                break
        # then
        assert len(found) == 1


async def test_a_token_that_is_revoked_without_a_message_is_noticed_at_the_next_check(
    server: WebServer, who: Someone
) -> None:
    async with open_socket(server, who.path()) as client:
        await opened(client)
        await do(tokens.revoke_all, who.user.id)
        assert await closed(client) == (1008, "Signed out")


async def test_an_expired_token_closes_its_socket(server: WebServer, who: Someone, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    # given a token that ends in two seconds
    monkeypatch.setattr(tokens, "ACCESS_LIFETIME", tokens.timedelta(seconds=2))
    token = (await do(tokens.open_session, who.user, remember_me=False, rotate=False)).access
    async with open_socket(server, who.path(token=token)) as client:
        await opened(client)
        assert (await closed(client))[0] == 1008


async def _answer_pings(client: ClientConnection) -> None:
    while True:
        await client.send('{"type": "ping"}')
        await asyncio.sleep(0.4)


async def _next_event(client: ClientConnection):  # type: ignore[no-untyped-def]
    while "seq" not in (body := await receive(client)):
        await client.send('{"type": "pong"}')
    return body


async def _drained(client: ClientConnection) -> tuple[int | None, str | None]:
    async def read() -> None:
        async for _ in client:
            pass

    try:
        await asyncio.wait_for(read(), 5)
    except Exception:  # an abrupt end is an end too; the code tells
        await asyncio.sleep(0)
    return await closed(client)


def _kept(who: Someone) -> int:
    from nexgent.events.models import Event

    return Event.objects.filter(stream_id=who.agent.id).count()


def _stop_valkey(servers: EmbeddedServers) -> None:
    with bell.connect() as client:
        client.shutdown(nosave=True)
    time.sleep(0.1)
