"""`/ws`: the reference's protocol of one agent, on a real web server process."""

import asyncio
import uuid

import pytest
from websockets.exceptions import InvalidStatus

from nexgent.accounts import tokens
from nexgent.accounts.principals import Principal
from nexgent.events import bell, control, tickets
from nexgent.events.models import Stream
from nexgent.runtime.embedded import EmbeddedServers
from tests.servers import WebServer, web_server
from tests.streams.sockets import Someone, closed, do, happen, large, open_socket, opened, receive, someone

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_connection_begins_with_connected_and_the_snapshot_with_its_number(
    server: WebServer, who: Someone
) -> None:
    # given two events
    await do(happen, who.agent.id, count=2)
    # when
    async with open_socket(server, who.path()) as client:
        connected = await receive(client)
        initial = await receive(client)
    # then
    assert connected["type"] == "connected"
    assert connected["data"]["agentId"] == str(who.agent.id)
    assert connected["data"]["timestamp"].endswith("Z")
    assert "seq" not in connected
    assert initial["type"] == "initial_data"
    assert initial["data"]["positions"] == [{"id": "1"}, {"id": "2"}]
    assert initial["seq"] == 2


async def test_events_arrive_in_order_with_their_numbers(server: WebServer, who: Someone) -> None:
    async with open_socket(server, who.path()) as client:
        await opened(client)
        # when
        await do(
            happen, who.agent.id, count=3, kind="position_update", eventType="position_created", position={"id": "p"}
        )
        messages = [await receive(client) for _ in range(3)]
    # then
    assert [(m["type"], m["seq"]) for m in messages] == [
        ("position_update", 1),
        ("position_update", 2),
        ("position_update", 3),
    ]
    assert messages[0]["data"] == {"eventType": "position_created", "position": {"id": "p"}}
    assert messages[0]["timestamp"] == "2026-05-01T12:00:00.000Z"


async def test_events_that_happen_while_a_socket_opens_arrive_once(server: WebServer, who: Someone) -> None:
    # given a writer that does not stop
    writer = asyncio.create_task(do(happen, who.agent.id, count=60))
    # when sockets open meanwhile
    for _ in range(5):
        async with open_socket(server, who.path()) as client:
            number = (await opened(client))["seq"]
            if number == 60:
                break
            # then every one continues where its snapshot ended
            assert (await receive(client))["seq"] == number + 1
    await writer


async def test_a_resumed_connection_gets_what_it_missed_and_no_snapshot(server: WebServer, who: Someone) -> None:
    await do(happen, who.agent.id, count=5)
    async with open_socket(server, who.path(since=2)) as client:
        assert (await receive(client))["type"] == "connected"
        assert [(await receive(client))["seq"] for _ in range(3)] == [3, 4, 5]
        await do(happen, who.agent.id)
        assert (await receive(client))["seq"] == 6


@pytest.mark.parametrize("since", ["7", "-1", "x", "99999999999999999999"])
async def test_a_number_that_cannot_be_resumed_gets_a_snapshot(server: WebServer, who: Someone, since: str) -> None:
    await do(happen, who.agent.id, count=5)
    async with open_socket(server, who.path(since=since)) as client:
        assert (await opened(client))["seq"] == 5


async def test_a_lost_publish_heals_within_a_second(server: WebServer, who: Someone, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    async with open_socket(server, who.path()) as client:
        await opened(client)
        # when the hints of two events are lost and nothing else happens
        with monkeypatch.context() as lost:
            lost.setattr(bell, "publish", lambda *_: None)
            await do(happen, who.agent.id, count=2)
        # then
        assert [(await receive(client, timeout=1.5))["seq"] for _ in range(2)] == [1, 2]


async def test_a_newcomer_closes_the_older_token_socket_and_stays(server: WebServer, who: Someone) -> None:
    async with open_socket(server, who.path()) as first:
        await opened(first)
        async with open_socket(server, who.path()) as second:
            await opened(second)
            assert await closed(first) == (1000, "New connection established")
            await asyncio.sleep(0.1)
            await do(happen, who.agent.id)
            assert (await receive(second))["seq"] == 1


async def test_a_newcomer_on_another_process_closes_the_older_one(
    server: WebServer, who: Someone, valkey: EmbeddedServers
) -> None:
    with web_server(valkey.redis_url) as other:
        async with open_socket(server, who.path()) as first:
            await opened(first)
            async with open_socket(other, who.path()) as second:
                await opened(second)
                assert await closed(first) == (1000, "New connection established")
                await do(happen, who.agent.id)
                assert (await receive(second))["seq"] == 1
        # and the ordinary end of a process tells its clients
        async with open_socket(other, who.path()) as third:
            await opened(third)
            other.process.terminate()
            assert await closed(third) == (1000, "Server shutdown")


async def test_pings_and_subscribe_are_answered(server: WebServer, who: Someone) -> None:
    async with open_socket(server, who.path()) as client:
        await opened(client)
        await client.send('{"type": "ping"}')
        pong = await receive(client)
        await client.send('{"type": "subscribe"}')
        subscribed = await receive(client)
        await client.send('{"type": "subscribe", "data": {"agentId": "' + str(uuid.uuid4()) + '"}}')
        other = await receive(client)
        await client.send("no json")
        broken = await receive(client)
        await client.send('{"type": "unheard_of"}')
        await client.send('{"type": "ping"}')
        last = await receive(client)
    assert set(pong) == {"type", "timestamp"}
    assert pong["type"] == last["type"] == "pong"
    assert subscribed["data"] == {"agentId": str(who.agent.id)}
    assert other["data"] == {"message": "This connection belongs to another agent"}
    assert broken["data"] == {"message": "Invalid message"}


async def test_an_idle_socket_stays_open(server: WebServer, who: Someone) -> None:
    # redis-py's default socket time-out of 5 s must not reach a quiet subscription
    async with open_socket(server, who.path()) as client:
        await opened(client)
        await asyncio.sleep(6.5)
        await do(happen, who.agent.id)
        assert (await receive(client, timeout=0.8))["seq"] == 1


@pytest.mark.parametrize("token", ["", "wrong", "refresh"])
async def test_without_a_good_token_the_handshake_is_refused(server: WebServer, who: Someone, token: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(server, f"/ws?token={token}&agentId={who.agent.id}"):
            raise AssertionError("the handshake was accepted")
    assert refused.value.response.status_code == 403


async def test_an_unknown_path_is_refused(server: WebServer) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(server, "/ws/nowhere"):
            raise AssertionError("the handshake was accepted")
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("agent", ["", "wrong", "foreign"])
async def test_the_wrong_agent_is_told_and_closed(server: WebServer, who: Someone, agent: str) -> None:
    agent_id = (await do(someone)).agent.id if agent == "foreign" else agent
    async with open_socket(server, who.path(agentId=agent_id)) as client:
        error = await receive(client)
        assert (error["type"], error["data"]) == ("error", {"message": "Agent not found"})
        assert await closed(client) == (1008, "Agent not found")


async def test_a_ticket_opens_one_socket_of_its_agent_and_stands_beside_others(server: WebServer, who: Someone) -> None:
    # given a token socket and two tickets
    principal = await do(_principal, who)
    one, two = [await do(tickets.issue_ticket, principal, who.agent.id) for _ in range(2)]
    async with open_socket(server, who.path()) as first:
        await opened(first)
        # when
        async with open_socket(server, f"/ws?ticket={one}&agentId={who.agent.id}") as second:
            await opened(second)
            await do(happen, who.agent.id)
            assert (await receive(first))["seq"] == (await receive(second))["seq"] == 1
        # then it is spent, and good for this agent only
        with pytest.raises(InvalidStatus):
            async with open_socket(server, f"/ws?ticket={one}&agentId={who.agent.id}"):
                raise AssertionError("the ticket was used twice")
        async with open_socket(server, f"/ws?ticket={two}&agentId={uuid.uuid4()}") as third:
            assert (await receive(third))["type"] == "error"


async def test_a_bearer_in_the_subprotocol_opens_a_socket(server: WebServer, who: Someone) -> None:
    path = f"/ws?agentId={who.agent.id}"
    async with open_socket(server, path, subprotocols=["bearer", who.token]) as client:
        assert client.subprotocol == "bearer"
        assert (await opened(client))["seq"] == 0


async def test_the_twenty_first_socket_of_a_person_is_asked_to_come_later(server: WebServer, who: Someone) -> None:
    path = f"/ws?agentId={who.agent.id}"
    clients = [await open_socket(server, path, subprotocols=["bearer", who.token]) for _ in range(20)]
    for client in clients:
        await opened(client)
    async with open_socket(server, path, subprotocols=["bearer", who.token]) as late:
        assert await closed(late) == (1013, "Too many connections")
    await asyncio.gather(*(client.close() for client in clients))


async def test_a_revoked_token_closes_its_socket(server: WebServer, who: Someone) -> None:
    principal = await do(_principal, who)
    async with open_socket(server, who.path()) as client:
        await opened(client)
        control.revoke(str(principal.token_jti))
        assert (await receive(client))["data"] == {"message": "Signed out"}
        assert await closed(client) == (1008, "Signed out")


async def test_signing_out_everywhere_closes_all_sockets_of_the_user(server: WebServer, who: Someone) -> None:
    other = await do(someone)
    async with open_socket(server, who.path()) as client, open_socket(server, other.path()) as stranger:
        await opened(client)
        await opened(stranger)
        control.sign_out(who.user.id)
        assert (await receive(client))["type"] == "error"
        await do(happen, other.agent.id)
        assert (await receive(stranger))["seq"] == 1


async def test_a_stream_far_ahead_of_the_ring_is_read_from_the_table(server: WebServer, who: Someone) -> None:
    # given a follower, and 400 events of which only the last is heard of
    async with open_socket(server, who.path()) as client:
        await opened(client)
        await do(large, who.agent.id, 400, 300)
        await do(happen, who.agent.id)
        assert [(await receive(client))["seq"] for _ in range(401)] == list(range(1, 402))
    assert (await do(Stream.objects.get, id=who.agent.id)).seq == 401


def _principal(who: Someone) -> Principal:
    return tokens.verify_access(who.token)
