"""Who gets what live: a key only what its scopes name, somebody with a first password nothing."""

import asyncio
from typing import Any

import orjson
import pytest
from websockets.exceptions import InvalidStatus

from nexgent.accounts import principals, services
from nexgent.accounts.models import User
from nexgent.events import bell, tickets
from nexgent.events.channels import PRICES
from tests.servers import WebServer
from tests.streams.sockets import Someone, closed, do, happen, open_socket, opened, receive, sign_in
from tests.streams.sse_client import Stream, listen

pytestmark = pytest.mark.django_db(transaction=True)

MINT = "So11111111111111111111111111111111111111112"
PORTFOLIO, TRADES = "/api/v1/stream/portfolio", "/api/v1/stream/trades"
FIRST = "Change the first password before anything else."


@pytest.fixture(scope="module")
def limits() -> dict[str, float]:
    return {"RECHECK_SECONDS": 1, "HEAL_SECONDS": 0.25}


def key(who: Someone, *scopes: str) -> str:
    new = services.api_key_create(
        user_id=who.user.id, workspace_id=who.agent.workspace_id, name="bot", scopes=list(scopes)
    )
    return new.raw


async def follow(server: WebServer, who: Someone, path: str, *scopes: str) -> Stream:
    raw = await do(key, who, *scopes)
    return await listen(server.port, f"{path}?agentId={who.agent.id}", X_API_Key=raw)


def a_day(agent_id: Any) -> None:
    """One event of each kind."""
    position = {"id": "p", "profitLossSol": 1.5}
    happen(agent_id, kind="position_update", eventType="position_created", position=position, orderId="o")
    happen(agent_id, kind="order_update", orderId="o", code="PRICE_STALE")
    happen(agent_id, kind="balance_update", amountUnits="5")
    happen(agent_id, kind="wallet_reset", epoch=2)
    happen(agent_id, kind="agent_note")


@pytest.mark.parametrize(
    ("scopes", "seen"),
    [
        (("balances",), ["", "", "balance_update", "wallet_reset", ""]),
        (("balances", "positions"), ["position_update", "", "balance_update", "wallet_reset", ""]),
        (("balances", "transactions"), ["position_update", "order_update", "balance_update", "wallet_reset", ""]),
        (("full_access",), ["position_update", "order_update", "balance_update", "wallet_reset", "agent_note"]),
    ],
)
async def test_a_key_sees_of_the_portfolio_what_its_scopes_name(
    server: WebServer, who: Someone, scopes: tuple[str, ...], seen: list[str]
) -> None:
    await do(happen, who.agent.id)
    async with await follow(server, who, PORTFOLIO, *scopes) as stream:
        snapshot = await stream.event()
        await do(a_day, who.agent.id)
        found = [await stream.event() for _ in range(5)]
    # then numbers have no gaps, and the opening holds positions for those who may see them
    assert [(each.place, each.event) for each in found] == list(zip("23456", seen, strict=True))
    assert ("positions" in snapshot.data["data"]) == (scopes[-1] in ("positions", "full_access"))
    assert snapshot.data["seq"] == 1


async def test_what_was_missed_is_seen_by_the_same_rule(server: WebServer, who: Someone) -> None:
    raw = await do(key, who, "balances")
    await do(a_day, who.agent.id)
    path = f"{PORTFOLIO}?agentId={who.agent.id}"
    async with await listen(server.port, path, X_API_Key=raw, place="0") as stream:
        found = [await stream.event() for _ in range(5)]
    assert [each.event for each in found] == ["", "", "balance_update", "wallet_reset", ""]


async def test_a_fill_tells_a_key_without_positions_only_which_one_it_is(server: WebServer, who: Someone) -> None:
    sold = {"eventType": "position_closed", "positionId": "p", "realizedProfitSol": 0.5, "orderId": "o2"}
    async with (
        await follow(server, who, TRADES, "transactions") as bare,
        await follow(server, who, TRADES, "transactions", "positions") as whole,
    ):
        for stream in (bare, whole):
            await stream.event()
        await do(a_day, who.agent.id)
        await do(happen, who.agent.id, kind="position_update", **sold)
        told = [
            [each.data["data"] for each in [await s.event() for _ in range(6)] if each.event] for s in (bare, whole)
        ]
    failed = {"orderId": "o", "code": "PRICE_STALE"}
    assert told[0] == [
        {"eventType": "position_created", "positionId": "p", "orderId": "o"},
        failed,
        {"eventType": "position_closed", "positionId": "p", "orderId": "o2"},
    ]
    bought = {"eventType": "position_created", "position": {"id": "p", "profitLossSol": 1.5}, "orderId": "o"}
    assert told[1] == [bought, failed, sold]


async def test_prices_of_held_tokens_need_the_scope_of_positions(server: WebServer, who: Someone) -> None:
    with bell.connect() as client:
        client.sadd(f"test:held:{who.agent.id}", MINT)
        async with (
            await follow(server, who, PORTFOLIO, "balances") as deaf,
            await follow(server, who, PORTFOLIO, "balances", "positions") as hearing,
        ):
            for stream in (deaf, hearing):
                await stream.event()
            await asyncio.sleep(0.3)
            client.publish(PRICES, orjson.dumps({"t": 1_777_636_800_123, "prices": [[MINT, "0.5", "75"]]}))
            assert (await hearing.event(timeout=2)).event == "price_update_batch"
            with pytest.raises(TimeoutError):
                await deaf.event(timeout=0.3)


def first_password(who: Someone, *, is_due: bool = True) -> None:
    User.objects.filter(pk=who.user.pk).update(must_change_password=is_due)


async def test_with_a_first_password_no_way_in_opens_a_socket(server: WebServer, who: Someone) -> None:
    # given every credential that was good a moment ago
    session = await do(sign_in, who)
    ticket = tickets.issue_ticket(await do(principals.of_user, who.user.id), who.agent.id, session_key=session)
    await do(first_password, who)
    page = {"origin": f"http://127.0.0.1:{server.port}", "additional_headers": {"Cookie": f"nexgent_session={session}"}}
    path = f"/ws?agentId={who.agent.id}"
    ways = [
        (who.path(), {}),
        (f"{path}&ticket={ticket}", {}),
        (path, {"subprotocols": ["bearer", who.token]}),
        (path, page),
        ("/ws/ui/", page),
    ]
    # then
    for way, options in ways:
        with pytest.raises(InvalidStatus) as refused:
            await open_socket(server, way, **options)
        assert refused.value.response.status_code == 403
    stream = await listen(server.port, f"{PORTFOLIO}?agentId={who.agent.id}", token=who.token)
    assert (stream.status, (await stream.body())["code"]) == (403, "PASSWORD_CHANGE_REQUIRED")
    # and once it is changed the same token opens one
    await do(first_password, who, is_due=False)
    async with open_socket(server, who.path()) as client:
        assert (await opened(client))["type"] == "initial_data"


async def test_an_open_socket_and_a_stream_end_when_a_new_password_is_asked_for(
    server: WebServer, who: Someone
) -> None:
    async with (
        open_socket(server, who.path()) as client,
        await listen(server.port, f"{PORTFOLIO}?agentId={who.agent.id}", token=who.token) as stream,
    ):
        await opened(client)
        await stream.event()
        await do(first_password, who)
        told = await receive(client, timeout=5)
        assert (told["type"], told["data"]) == ("error", {"message": FIRST, "code": "PASSWORD_CHANGE_REQUIRED"})
        assert await closed(client) == (1008, FIRST)
        assert (await stream.event(timeout=5)).data == {"message": FIRST, "code": "PASSWORD_CHANGE_REQUIRED"}


async def test_a_key_goes_on_when_its_owner_has_a_password_to_change(server: WebServer, who: Someone) -> None:
    await do(first_password, who)
    async with await follow(server, who, PORTFOLIO, "balances") as stream:
        assert (await stream.event()).event == "snapshot"
