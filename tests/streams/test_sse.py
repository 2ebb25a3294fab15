"""`/api/v1/stream/…`: server-sent events on a real web server process."""

import asyncio
import time
from pathlib import Path

import orjson
import pytest

from agents.models import Agent
from nexgent.accounts import services, tokens
from nexgent.events import bell, control
from nexgent.events.channels import PRICES
from nexgent.runtime.embedded import EmbeddedServers
from tests.servers import WebServer, web_server
from tests.streams.sockets import AT, Someone, do, happen, large, open_socket, opened, sign_in, someone
from tests.streams.sse_client import Stream, listen

pytestmark = pytest.mark.django_db(transaction=True)
MINT = "So11111111111111111111111111111111111111112"
POSITIONS, TRADES, PORTFOLIO, SIGNALS = (
    f"/api/v1/stream/{topic}" for topic in ("positions", "trades", "portfolio", "signals")
)


@pytest.fixture(scope="module")
def limits() -> dict[str, float]:
    return {"HEARTBEAT_SECONDS": 1, "RECHECK_SECONDS": 1, "BEHIND_SECONDS": 1.5, "HEAL_SECONDS": 0.25}


def of(path: str, who: Someone) -> str:
    return f"{path}?agentId={who.agent.id}"


def threads_of(server: WebServer) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


async def test_a_stream_begins_with_the_snapshot_and_goes_on_with_events(server: WebServer, who: Someone) -> None:
    await do(happen, who.agent.id, count=2)
    async with await listen(server.port, of(POSITIONS, who), token=who.token) as stream:
        # then
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-store"
        snapshot = await stream.event()
        assert (snapshot.place, snapshot.event) == ("2", "snapshot")
        assert snapshot.data["data"]["positions"] == [{"id": "1"}, {"id": "2"}]
        assert (snapshot.data["seq"], snapshot.data["agentId"]) == (2, str(who.agent.id))
        # when
        await do(happen, who.agent.id, kind="position_update", eventType="position_closed", positionId="p")
        event = await stream.event()
    assert (event.place, event.event) == ("3", "position_update")
    assert event.data == {
        "type": "position_update",
        "agentId": str(who.agent.id),
        "data": {"eventType": "position_closed", "positionId": "p"},
        "seq": 3,
        "timestamp": "2026-05-01T12:00:00.000Z",
    }


async def test_events_of_other_topics_move_the_place_on_unseen(server: WebServer, who: Someone) -> None:
    async with await listen(server.port, of(TRADES, who), token=who.token) as stream:
        assert (await stream.event()).event == "snapshot"
        await do(happen, who.agent.id, kind="balance_update")
        await do(happen, who.agent.id, kind="position_update", eventType="position_updated")
        await do(happen, who.agent.id, kind="position_update", eventType="position_updated", orderId="o")
        await do(happen, who.agent.id, kind="order_update", orderId="o", code="PRICE_STALE")
        found = [await stream.event() for _ in range(4)]
    assert [(each.place, each.event) for each in found] == [
        ("1", ""),
        ("2", ""),
        ("3", "position_update"),
        ("4", "order_update"),
    ]


async def test_the_last_event_id_brings_what_was_missed_and_no_snapshot(server: WebServer, who: Someone) -> None:
    await do(happen, who.agent.id, count=5)
    for header, query in (("3", ""), ("", "&since=3")):
        async with await listen(server.port, of(PORTFOLIO, who) + query, token=who.token, place=header) as stream:
            assert [(await stream.event()).place for _ in range(2)] == ["4", "5"]
    # a place that cannot be resumed gets a snapshot
    async with await listen(server.port, of(PORTFOLIO, who), token=who.token, place="9") as stream:
        first = await stream.event()
        assert (first.event, first.place) == ("snapshot", "5")


async def test_a_wrong_last_event_id_is_refused(server: WebServer, who: Someone) -> None:
    stream = await listen(server.port, of(PORTFOLIO, who), token=who.token, place="x")
    assert stream.status == 400
    assert (await stream.body())["details"]["errors"][0]["field"] == "Last-Event-ID"


async def test_without_an_agent_all_visible_ones_are_followed_each_with_its_number(
    server: WebServer, who: Someone
) -> None:
    # given two agents and a stranger's
    second = await do(_another, who)
    stranger = await do(someone)
    await do(happen, second.id, count=3)
    async with await listen(server.port, PORTFOLIO, token=who.token) as stream:
        snapshots = {(m := await stream.event()).data["agentId"]: m.data["seq"] for _ in range(2)}
        assert snapshots == {str(who.agent.id): 0, str(second.id): 3}
        await do(happen, stranger.agent.id)
        await do(happen, who.agent.id)
        last = await stream.event()
        assert (last.data["agentId"], last.data["seq"]) == (str(who.agent.id), 1)
    # when it comes back
    await do(happen, second.id)
    async with await listen(server.port, PORTFOLIO, token=who.token, place=last.place) as stream:
        missed = await stream.event()
        assert (missed.event, missed.data["agentId"], missed.data["seq"]) == ("note", str(second.id), 4)
        # and a new agent ends it, so that the client comes back and follows that one too
        await do(happen, who.agent.workspace_id, kind="agent_created")
        with pytest.raises(EOFError):
            await stream.event()


async def test_signals_are_those_of_the_workspace(server: WebServer, who: Someone) -> None:
    async with await listen(server.port, SIGNALS, token=who.token) as stream:
        assert (await stream.event()).event == "snapshot"
        await do(happen, who.agent.workspace_id, kind="alarm_raised")
        await do(happen, who.agent.workspace_id, kind="signal_created", id=7)
        assert [(await stream.event()).event for _ in range(2)] == ["", "signal_created"]


async def test_prices_of_held_tokens_come_without_a_place(server: WebServer, who: Someone) -> None:
    with bell.connect() as client:
        client.sadd(f"test:held:{who.agent.id}", MINT)
        async with (
            await listen(server.port, of(POSITIONS, who), token=who.token) as stream,
            await listen(server.port, of(TRADES, who), token=who.token) as deaf,
        ):
            await stream.event()
            await deaf.event()
            await do(happen, who.agent.id)
            assert (await stream.event()).place == (await deaf.event()).place == "1"
            client.publish(PRICES, orjson.dumps({"t": 1_777_636_800_123, "prices": [[MINT, "0.5", "75"]]}))
            prices = await stream.event(timeout=1)
            assert (prices.event, prices.place) == ("price_update_batch", "")
            assert prices.data["data"]["updates"] == [{"tokenAddress": MINT, "price": 0.5, "priceUsd": 75}]
            with pytest.raises(TimeoutError):
                await deaf.event(timeout=0.3)


async def test_a_quiet_stream_has_heartbeats_and_outlives_the_time_limit_of_requests(
    server: WebServer, who: Someone
) -> None:
    async with await listen(server.port, of(POSITIONS, who), token=who.token) as stream:
        await stream.event()
        beats = [await stream.next() for _ in range(3)]
        assert [each.comment for each in beats] == ["heartbeat"] * 3


@pytest.mark.parametrize("topic", [POSITIONS, SIGNALS])
async def test_without_a_credential_or_with_a_refresh_token_it_is_refused(
    server: WebServer, who: Someone, topic: str
) -> None:
    pair = await do(tokens.open_session, who.user, remember_me=False, rotate=False)
    for token in ("", "wrong", pair.refresh):
        stream = await listen(server.port, topic, token=token)
        assert stream.status == 401
        assert (await stream.body())["code"] == "AUTHENTICATION_ERROR"


async def test_the_agent_of_somebody_else_does_not_exist(server: WebServer, who: Someone) -> None:
    other = await do(someone)
    stream = await listen(server.port, of(POSITIONS, other), token=who.token)
    assert stream.status == 404
    assert (await stream.body())["code"] == "AGENT_NOT_FOUND"


async def test_a_key_needs_the_scope_of_the_topic_and_its_end_ends_the_stream(server: WebServer, who: Someone) -> None:
    new = await do(_key, who, ["positions"])
    async with await listen(server.port, of(POSITIONS, who), X_API_Key=new.raw) as stream:
        await stream.event()
        refused = await listen(server.port, of(TRADES, who), X_API_Key=new.raw)
        assert refused.status == 403
        # when
        await do(services.api_key_revoke, workspace_id=who.agent.workspace_id, key_id=new.key.id)
        assert (await stream.event()).data == {"message": "Signed out"}
        with pytest.raises(EOFError):
            await stream.event()


async def test_a_revoked_session_ends_the_stream_at_once(server: WebServer, who: Someone) -> None:
    principal = await do(tokens.verify_access, who.token)
    async with await listen(server.port, of(POSITIONS, who), token=who.token) as stream:
        await stream.event()
        control.revoke(str(principal.session_id))
        assert (await stream.event()).data == {"message": "Signed out"}


async def test_a_session_of_a_page_opens_a_stream_and_its_end_ends_it(server: WebServer, who: Someone) -> None:
    key = await do(sign_in, who)
    async with await listen(server.port, of(POSITIONS, who), Cookie=f"nexgent_session={key}") as stream:
        assert (await stream.event()).event == "snapshot"
        control.revoke(key)
        assert (await stream.event()).data == {"message": "Signed out"}


async def test_an_expired_token_ends_the_stream(server: WebServer, who: Someone, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(tokens, "ACCESS_LIFETIME", tokens.timedelta(seconds=2))
    pair = await do(tokens.open_session, who.user, remember_me=False, rotate=False)
    async with await listen(server.port, of(POSITIONS, who), token=pair.access) as stream:
        await stream.event()
        assert (await stream.event(timeout=4)).data == {"message": "Token expired"}


async def test_streams_and_sockets_of_a_principal_are_counted_together_over_all_processes(
    server: WebServer, who: Someone, valkey: EmbeddedServers
) -> None:
    path = f"/ws?agentId={who.agent.id}"
    with web_server(valkey.redis_url) as other:
        sockets = [await open_socket(other, path, subprotocols=["bearer", who.token]) for _ in range(10)]
        for client in sockets:
            await opened(client)
        streams = [await listen(server.port, of(POSITIONS, who), token=who.token) for _ in range(10)]
        assert {stream.status for stream in streams} == {200}
        late = await listen(server.port, of(POSITIONS, who), token=who.token)
        assert (late.status, late.headers["retry-after"]) == (429, "5")
        assert (await late.body())["code"] == "TOO_MANY_CONNECTIONS"
        # when two go, two may come
        streams[0].cut()
        await sockets[0].close()
        again = await _until_seated(server, who)
        assert again.status == 200
        for stream in (*streams, again):
            stream.cut()


async def test_a_client_that_does_not_read_is_let_go_and_costs_no_thread(server: WebServer, who: Someone) -> None:
    before = threads_of(server)
    other = await do(someone)
    async with (
        await listen(server.port, of(PORTFOLIO, who), token=who.token) as slow,
        await listen(server.port, of(PORTFOLIO, other), token=other.token) as quick,
    ):
        await quick.event()
        slow.reader._transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(40):
            await do(large, who.agent.id, 20, 20_000)
        await do(happen, other.agent.id)
        assert (await quick.event()).place == "1"
        quick_ones = [await listen(server.port, of(PORTFOLIO, other), token=other.token) for _ in range(15)]
        assert threads_of(server) - before <= 8
        for stream in quick_ones:
            stream.cut()
        await asyncio.sleep(3)
        slow.reader._transport.resume_reading()  # type: ignore[attr-defined]
        places = await _all_places(slow)
        assert len(places) < 800
        # and it goes on where it was
        async with await listen(server.port, of(PORTFOLIO, who), token=who.token, place=places[-1]) as again:
            assert (await again.event()).place == str(int(places[-1]) + 1)


def _another(who: Someone) -> Agent:
    return Agent.objects.create(workspace=who.agent.workspace, user=who.user, name="Two", created_at=AT, updated_at=AT)


def _key(who: Someone, scopes: list[str]) -> services.NewKey:
    return services.api_key_create(user_id=who.user.id, workspace_id=who.agent.workspace_id, name="bot", scopes=scopes)


async def _until_seated(server: WebServer, who: Someone) -> Stream:
    end = time.monotonic() + 5
    while True:
        stream = await listen(server.port, of(POSITIONS, who), token=who.token)
        if stream.status == 200 or time.monotonic() > end:
            return stream
        await asyncio.sleep(0.1)


async def _all_places(stream: Stream) -> list[str]:
    places = []
    try:
        while True:
            place = (await stream.event()).place
            if place:
                places.append(place)
    except (EOFError, asyncio.IncompleteReadError, ConnectionError):
        return places
