"""Wallets of agents: which, another one, none, empty, and what arrived from outside (reference 2.10)."""

from typing import Any

from agents.models import Assignment
from nexgent import clock
from prices.feeds import registry
from tests.contract.cases import ABSENT, Case
from tests.contract.world import World, value
from tests.fakes.rpc import FakeRpc
from trading.models import Position
from wallets import services
from wallets.models import Wallet

LIVE_ADDRESS = "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin"
OTHER_LIVE = "7YttLkHDoNj9wyDur5pM1ejNaAvT9X4eqaYcHQqtj2G5"
NEW_SIMULATED = "sim_2VfUX7vDzGqRuwbGUPGZJrmKCrgYvpnFzp9Kn2ZW"
YES = {"confirm": True}


@value("freeLive")
def _free_live(world: World) -> str:
    """A live wallet of the workspace that no agent trades from."""
    return services.wallet_create(workspace_id=world.workspace_id, kind="live", address=LIVE_ADDRESS).address


@value("liveAddress")
def _live_address(world: World) -> str:
    """The live wallet of the agent."""
    wallet = services.wallet_create(workspace_id=world.workspace_id, kind="live", address=OTHER_LIVE)
    Assignment.objects.create(agent_id=world["agentId"], wallet=wallet, mode="live", started_at=clock.now())
    return wallet.address


@value("emptySimulated")
def _empty_simulated(world: World) -> str:
    """The simulated wallet of a second agent."""
    other = world.post("/agents", {"name": "Second"})["id"]
    return str(Wallet.objects.get(assignments__agent_id=other).address)


def holds_live(world: World) -> None:
    """The bought position lies in a live wallet now."""
    assert world["trade"]
    wallet = Wallet.objects.get(address=world["liveAddress"])
    Position.objects.update(wallet=wallet)


def chain_has(lamports: int):
    """A Solana RPC on loopback that knows the live wallet."""

    def arrange(world: World) -> None:
        rpc = world.afterwards.enter_context(FakeRpc())
        rpc.lamports[OTHER_LIVE] = lamports
        world.settings.SOLANA_RPC_URLS = (rpc.url,)
        registry.forget()
        world.afterwards.callback(registry.forget)

    return arrange


def is_the_first_answer(world: World, answer: Any) -> None:
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert answer.json()["depositDetected"] is True


def no_chain(world: World) -> None:
    world.settings.SOLANA_RPC_URLS = ()
    registry.forget()
    world.afterwards.callback(registry.forget)


ASSIGN, LIST = "POST /wallets/assign", "GET /wallets/agent/:agentId"
RESET, UNASSIGN = "POST /wallets/:walletAddress/reset", "POST /wallets/:walletAddress/unassign"
CHECK = "POST /wallets/:walletAddress/check-deposits"
OF_LIVE = {"walletAddress": "{liveAddress}"}
LIVE = {"agentId": "{agentId}", "walletAddress": "{freeLive}", "walletType": "live"}
SIMULATED = {"agentId": "{agentId}", "walletAddress": NEW_SIMULATED, "walletType": "simulation"}

CASES = [
    Case(LIST, 200, "with live ones", uses=("liveAddress", "freeLive")),
    Case(ASSIGN, 201, body=LIVE),
    Case(ASSIGN, 200, "another live one", body=LIVE, uses=("liveAddress",)),
    Case(ASSIGN, 200, "a new simulated one", body=SIMULATED),
    Case(ASSIGN, 400, "no confirmed type", body={**LIVE, "walletType": "paper"}, fields=("walletType",)),
    Case(ASSIGN, 400, "simulated as live", body={**SIMULATED, "walletType": "live"}, fields=("walletAddress",)),
    Case(ASSIGN, 400, "live as simulated", body={**LIVE, "walletType": "simulation"}, fields=("walletAddress",)),
    Case(ASSIGN, 400, "no agent", body={}, fields=("agentId", "walletAddress", "walletType")),
    Case(ASSIGN, 403, "by a trader", body=LIVE, who="trader", code="AUTHORIZATION_ERROR"),
    Case(ASSIGN, 404, "absent agent", body={**LIVE, "agentId": ABSENT}, code="AGENT_NOT_FOUND"),
    Case(ASSIGN, 404, "unknown live wallet", body={**LIVE, "walletAddress": OTHER_LIVE}, code="WALLET_NOT_FOUND"),
    Case(
        ASSIGN, 409, "of another agent", body={**SIMULATED, "walletAddress": "{emptySimulated}"}, code="WALLET_IN_USE"
    ),
    Case(
        ASSIGN,
        409,
        "while the live one holds something",
        body=LIVE,
        uses=("trade", "liveAddress"),
        given=holds_live,
        code="OPEN_POSITIONS",
    ),
    Case(ASSIGN, 429, body={}, repeat=6, code="RATE_LIMITED"),
    Case(RESET, 200, body=YES, uses=("closed",)),
    Case(RESET, 200, "an empty one", path={"walletAddress": "{emptySimulated}"}, body=YES),
    Case(RESET, 400, "not confirmed", body={"confirm": False}, fields=("confirm",)),
    Case(RESET, 400, "no confirmation", body={}, fields=("confirm",)),
    Case(RESET, 400, "a live one", path=OF_LIVE, body=YES, code="LIVE_WALLET"),
    Case(RESET, 403, "by a trader", body=YES, who="trader", code="AUTHORIZATION_ERROR"),
    Case(RESET, 404, path={"walletAddress": "sim_x"}, body=YES, code="WALLET_NOT_FOUND"),
    Case(RESET, 409, path=OF_LIVE, body=YES, uses=("trade",), given=holds_live, code="OPEN_POSITIONS"),
    Case(RESET, 429, path={"walletAddress": "sim_x"}, body=YES, repeat=6, code="RATE_LIMITED"),
    Case(UNASSIGN, 200, path=OF_LIVE, body=YES),
    Case(UNASSIGN, 400, "not confirmed", path=OF_LIVE, body={"confirm": "yes"}, fields=("confirm",)),
    Case(UNASSIGN, 400, "a simulated one", body=YES, code="SIMULATION_WALLET"),
    Case(UNASSIGN, 403, "by a trader", path=OF_LIVE, body=YES, who="trader", code="AUTHORIZATION_ERROR"),
    Case(UNASSIGN, 404, path={"walletAddress": "{freeLive}"}, body=YES, code="WALLET_NOT_FOUND"),
    Case(UNASSIGN, 409, path=OF_LIVE, body=YES, uses=("trade",), given=holds_live, code="OPEN_POSITIONS"),
    Case(UNASSIGN, 429, path={"walletAddress": "sim_x"}, body=YES, repeat=6, code="RATE_LIMITED"),
    Case(
        CHECK,
        200,
        path=OF_LIVE,
        body={"agentId": "{agentId}"},
        given=chain_has(2_500_000_000),
        committed=True,
    ),
    Case(
        CHECK,
        200,
        "nothing new",
        path=OF_LIVE,
        body={"agentId": "{agentId}"},
        given=chain_has(10_000),
        committed=True,
    ),
    Case(
        CHECK,
        200,
        "again with its key",
        path=OF_LIVE,
        body={"agentId": "{agentId}"},
        headers={"Idempotency-Key": "one"},
        given=chain_has(2_500_000_000),
        committed=True,
        first=(Case(CHECK, 200, path=OF_LIVE, body={"agentId": "{agentId}"}, headers={"Idempotency-Key": "one"}),),
        check=is_the_first_answer,
        golden=False,
    ),
    Case(
        CHECK,
        422,
        path=OF_LIVE,
        body={"agentId": "{agentId}", "more": 1},
        headers={"Idempotency-Key": "one"},
        given=chain_has(2_500_000_000),
        committed=True,
        first=(Case(CHECK, 200, path=OF_LIVE, body={"agentId": "{agentId}"}, headers={"Idempotency-Key": "one"}),),
        code="IDEMPOTENCY_KEY_REUSED",
    ),
    Case(CHECK, 400, "no agent", path=OF_LIVE, body={}, fields=("agentId",)),
    Case(CHECK, 400, "a simulated one", body={"agentId": "{agentId}"}, code="SIMULATION_WALLET"),
    Case(CHECK, 403, "by a trader", path=OF_LIVE, body={"agentId": "{agentId}"}, who="trader"),
    Case(CHECK, 404, "absent agent", path=OF_LIVE, body={"agentId": ABSENT}, code="AGENT_NOT_FOUND"),
    Case(CHECK, 404, "another wallet", path={"walletAddress": "sim_x"}, body={"agentId": "{agentId}"}),
    Case(
        CHECK,
        409,
        "while an order is on its way",
        path=OF_LIVE,
        body={"agentId": "{agentId}"},
        uses=("trade", "liveAddress"),
        given=lambda world: order_on_its_way(world),
        committed=True,
        code="ORDER_IN_PROGRESS",
    ),
    Case(CHECK, 429, path={"walletAddress": "sim_x"}, body={}, repeat=6, code="RATE_LIMITED"),
    Case(
        CHECK,
        503,
        "no RPC answers",
        path=OF_LIVE,
        body={"agentId": "{agentId}"},
        given=no_chain,
        committed=True,
        code="CHAIN_UNAVAILABLE",
    ),
]


def order_on_its_way(world: World) -> None:
    from trading.models import Order, State

    chain_has(10**10)(world)
    wallet = Wallet.objects.get(address=world["liveAddress"])
    Order.objects.update(wallet=wallet, state=State.PLANNED, lease_until=None, side=0)
