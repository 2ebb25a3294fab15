"""What a socket may not do, and what ends it: refresh tokens, floods, large frames, logout, passwords, tickets."""

import asyncio
import json
import logging
import urllib.error
import urllib.request
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from nexgent.accounts import services, tokens
from nexgent.events import bell
from nexgent.runtime import logs
from nexgent.runtime import server as runtime_server
from tests.servers import WebServer
from tests.streams.sockets import Someone, closed, do, happen, open_socket, opened, receive, someone

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "Correct-Horse-9-Battery"


def post(server: WebServer, path: str, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, Any]]:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/api/v1{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **named},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


async def ticket_for(server: WebServer, who: Someone, agent_id: Any = None) -> tuple[int, dict[str, Any]]:
    body = {"agentId": str(agent_id or who.agent.id)}
    return await asyncio.to_thread(post, server, "/ws-tickets", body, Authorization=f"Bearer {who.token}")


async def test_a_ticket_of_the_api_opens_one_socket(server: WebServer, who: Someone) -> None:
    status, answer = await ticket_for(server, who)
    assert (status, answer["expiresIn"], answer["agentId"]) == (201, 30, str(who.agent.id))
    async with open_socket(server, f"/ws?ticket={answer['ticket']}") as client:
        assert (await opened(client))["seq"] == 0
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(server, f"/ws?ticket={answer['ticket']}"):
            raise AssertionError("the ticket was used twice")
    assert refused.value.response.status_code == 403


async def test_a_ticket_is_for_an_agent_of_ones_own_and_not_for_keys(server: WebServer, who: Someone) -> None:
    other = await do(someone)
    assert (await ticket_for(server, who, other.agent.id))[1]["code"] == "AGENT_NOT_FOUND"
    assert (await ticket_for(server, who, "x"))[0] == 400
    key = await do(_key, who)
    refused = await asyncio.to_thread(post, server, "/ws-tickets", {"agentId": str(who.agent.id)}, X_API_Key=key.raw)
    assert (refused[0], refused[1]["code"]) == (403, "AUTHORIZATION_ERROR")
    stranger = await asyncio.to_thread(post, server, "/ws-tickets", {"agentId": str(who.agent.id)})
    assert stranger[0] == 401


async def test_a_ticket_lasts_thirty_seconds(server: WebServer, who: Someone) -> None:
    _, answer = await ticket_for(server, who)
    with bell.connect() as client:
        [key] = client.keys("nexgent:ws-ticket:*")
        assert 25 <= client.ttl(key) <= 30
        client.pexpire(key, 1)  # and now they are over
    await asyncio.sleep(0.05)
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(server, f"/ws?ticket={answer['ticket']}"):
            raise AssertionError("the ticket was good for longer")
    assert refused.value.response.status_code == 403


async def test_a_refresh_token_opens_nothing(server: WebServer, who: Someone) -> None:
    pair = await do(tokens.open_session, who.user, remember_me=False, rotate=False)
    for path, more in (
        (f"/ws?token={pair.refresh}&agentId={who.agent.id}", {}),
        (f"/ws?agentId={who.agent.id}", {"subprotocols": ["bearer", pair.refresh]}),
    ):
        with pytest.raises(InvalidStatus) as refused:
            async with open_socket(server, path, **more):
                raise AssertionError("the handshake was accepted")
        assert refused.value.response.status_code == 403


async def test_a_logged_out_token_opens_nothing_and_closes_what_it_opened(server: WebServer, who: Someone) -> None:
    ticket = (await ticket_for(server, who))[1]["ticket"]
    async with open_socket(server, who.path()) as by_token, open_socket(server, f"/ws?ticket={ticket}") as by_ticket:
        await opened(by_token)
        await opened(by_ticket)
        # when
        status, _ = await asyncio.to_thread(post, server, "/auth/logout", {}, Authorization=f"Bearer {who.token}")
        assert status == 200
        # then
        assert await closed(by_token) == (1008, "Signed out")
        assert await closed(by_ticket) == (1008, "Signed out")
    with pytest.raises(InvalidStatus):
        async with open_socket(server, who.path()):
            raise AssertionError("the handshake was accepted")


async def test_a_changed_password_closes_all_sockets_of_the_person(server: WebServer) -> None:
    who = await do(_with_password)
    async with open_socket(server, who.path()) as client:
        await opened(client)
        await do(services.password_change, user_id=who.user.id, current=PASSWORD, new=PASSWORD + "-2")
        assert await closed(client) == (1008, "Signed out")


async def test_a_flood_of_messages_is_told_and_closed(server: WebServer, who: Someone) -> None:
    async with open_socket(server, who.path()) as client:
        await opened(client)
        for _ in range(201):
            await client.send('{"type": "pong"}')
        error = await receive(client)
        assert (error["type"], error["data"]) == ("error", {"message": "Too many messages"})
        assert await closed(client) == (1008, "Too many messages")


async def test_two_hundred_messages_in_ten_seconds_are_no_flood(server: WebServer, who: Someone) -> None:
    async with open_socket(server, who.path()) as client:
        await opened(client)
        for _ in range(200):
            await client.send('{"type": "pong"}')
        await do(happen, who.agent.id)
        assert (await receive(client))["seq"] == 1


async def test_a_frame_above_64_kib_closes_and_one_of_64_kib_does_not(server: WebServer, who: Someone) -> None:
    async with open_socket(server, who.path()) as client:
        await opened(client)
        await client.send('{"type": "ping", "pad": "' + "x" * (65_536 - 27) + '"}')
        assert (await receive(client))["type"] == "pong"
        await client.send("x" * 65_537)
        assert (await closed(client))[0] == 1009


async def test_a_binary_message_is_answered_with_an_error(server: WebServer, who: Someone) -> None:
    async with open_socket(server, who.path()) as client:
        await opened(client)
        await client.send(b"\x00\x01")
        assert (await receive(client))["data"] == {"message": "Invalid message"}


def test_credentials_in_an_address_do_not_reach_the_log(capsys) -> None:  # type: ignore[no-untyped-def]
    logs.configure(level="INFO", form="text", process="test")
    for name, secret in (("token", "eyJhbGciOi.eyJ1c2VySWQi.c2lnbmF0dXJl"), ("ticket", "q7Zx-ticket-text_0123456789")):
        runtime_server._log("websocket", "connected", {"path": f"/ws?{name}={secret}&agentId=a"})
    logging.getLogger().handlers[0].flush()
    said = capsys.readouterr().err
    assert said.count("[redacted]&agentId=a") == said.count("socket connected") >= 2
    assert "c2lnbmF0dXJl" not in said
    assert "q7Zx" not in said


def _key(who: Someone) -> services.NewKey:
    return services.api_key_create(
        user_id=who.user.id, workspace_id=who.agent.workspace_id, name="bot", scopes=["full_access"]
    )


def _with_password() -> Someone:
    who = someone()
    who.user.set_password(PASSWORD)
    who.user.save(update_fields=["password"])
    return who
