"""`/ws/ui/`: HTML fragments for a signed-in browser; and what needs a session, an Origin or a switch."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from nexgent.events import bell, control
from tests.servers import WebServer
from tests.streams.sockets import Someone, closed, do, happen, open_socket, opened, sign_in, someone

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {"WS_QUERY_TOKEN": "off"}


OPENING_SECONDS = 0.4
"""A page's socket says nothing when its place in the streams is found: so long a test gives it."""


@asynccontextmanager
async def browser(
    server: WebServer, key: str, path: str, *, origin: str | None = None
) -> AsyncIterator[ClientConnection]:
    headers = {"Cookie": f"nexgent_session={key}"}
    origin = origin or f"http://127.0.0.1:{server.port}"
    async with open_socket(server, path, origin=origin, additional_headers=headers) as client:
        await asyncio.sleep(OPENING_SECONDS)
        yield client


async def text(client: ClientConnection) -> str:
    return str(await asyncio.wait_for(client.recv(), 3))


async def test_a_page_gets_the_events_of_its_workspace_and_no_other(server: WebServer, who: Someone) -> None:
    # given
    stranger, key = await do(someone), await do(sign_in, who)
    async with browser(server, key, "/ws/ui/") as client:
        # when
        await do(happen, stranger.agent.id)
        await do(happen, who.agent.id)
        await do(happen, who.agent.workspace_id, kind="alarm_raised")
        # then
        assert await text(client) == '<p id="event" hx-swap-oob="true">note 1</p>'
        assert await text(client) == '<p id="event" hx-swap-oob="true">alarm_raised 1</p>'


async def test_what_happened_between_page_and_socket_is_not_lost(server: WebServer, who: Someone) -> None:
    # given a page rendered at number 1
    key = await do(sign_in, who)
    await do(happen, who.agent.id, count=3)
    # when its socket opens at number 3
    path = f"/ws/ui/?agent={who.agent.id}&since={who.agent.id}:1"
    async with browser(server, key, path) as client:
        assert await text(client) == '<p id="event" hx-swap-oob="true">note 2</p>'
        assert await text(client) == '<p id="event" hx-swap-oob="true">note 3</p>'
        # then only the chosen agent is followed
        await do(happen, who.agent.workspace_id)
        await do(happen, who.agent.id)
        assert await text(client) == '<p id="event" hx-swap-oob="true">note 4</p>'


async def test_a_page_too_far_behind_is_told_to_start_anew(server: WebServer, who: Someone) -> None:
    key = await do(sign_in, who)
    await do(happen, who.agent.id)
    async with browser(server, key, f"/ws/ui/?since={who.agent.id}:9") as client:
        assert await text(client) == '<p id="event" hx-swap-oob="true">stream_reset 1</p>'


async def test_prices_reach_the_page_as_fragments(server: WebServer, who: Someone) -> None:
    mint = "So11111111111111111111111111111111111111112"
    key = await do(sign_in, who)
    with bell.connect() as valkey:
        valkey.sadd(f"test:held:{who.agent.id}", mint)
        async with browser(server, key, "/ws/ui/") as client:
            await do(happen, who.agent.id)
            await text(client)
            valkey.publish("nexgent:prices", b'{"t":1,"prices":[["' + mint.encode() + b'","0.5",null]]}')
            assert await asyncio.wait_for(text(client), 1) == f"<p id=\"prices\">[('{mint}', ('0.5', None))]</p>"


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
async def test_a_foreign_page_cannot_use_the_cookie(server: WebServer, who: Someone, origin: str) -> None:
    key = await do(sign_in, who)
    for path in ("/ws/ui/", f"/ws?agentId={who.agent.id}"):
        with pytest.raises(InvalidStatus) as refused:
            async with browser(server, key, path, origin=origin):
                raise AssertionError("the handshake was accepted")
        assert refused.value.response.status_code == 403


async def test_an_unknown_session_is_refused(server: WebServer, who: Someone) -> None:
    with pytest.raises(InvalidStatus):
        async with browser(server, uuid.uuid4().hex, "/ws/ui/"):
            raise AssertionError("the handshake was accepted")


async def test_the_agent_socket_takes_a_session_too(server: WebServer, who: Someone) -> None:
    key = await do(sign_in, who)
    async with browser(server, key, f"/ws?agentId={who.agent.id}") as client:
        assert (await opened(client))["seq"] == 0


async def test_tokens_in_the_address_can_be_switched_off(server: WebServer, who: Someone) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(server, who.path()):
            raise AssertionError("the handshake was accepted")
    assert refused.value.response.status_code == 403


async def test_logging_out_closes_the_page_of_that_session_only(server: WebServer, who: Someone) -> None:
    one, two = await do(sign_in, who), await do(sign_in, who)
    async with browser(server, one, "/ws/ui/") as first, browser(server, two, "/ws/ui/") as second:
        await do(happen, who.agent.id)
        await text(first)
        await text(second)
        control.revoke(one)
        assert (await closed(first))[0] == 1008
        await do(happen, who.agent.id)
        assert await text(second) == '<p id="event" hx-swap-oob="true">note 2</p>'
