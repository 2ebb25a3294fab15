"""What arrived at a live wallet from outside: the chain's SOL balance beside the ledger's, and the entry between them.

The chain is asked before anything is locked. What was read counts only when the ledger still stands where it stood
then and no order of the wallet is on its way; else a trade would be booked a second time as a deposit. What went away
is not booked: a live wallet's withdrawal is a transfer that somebody has to explain.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from agents.models import Agent
from nexgent import clock
from nexgent.errors import Refusal
from nexgent.events import services as events
from nexgent.money import SOL_MINT
from prices import selectors as prices
from prices.feeds import registry
from prices.feeds.protocol import FeedFailure
from prices.records import Lane
from trading.engine import locks, outside
from trading.models import OPEN_STATES, Order
from wallets import selectors as balances
from wallets import services as wallets
from wallets.models import AccountKind, EntryKind, Kind, Wallet

LEAST_LAMPORTS = 10_000
"""0.00001 SOL: a difference must be larger to be a deposit."""


@dataclass(frozen=True, slots=True)
class Check:
    """Lamports of ledger and chain, and the deposit that was booked for the difference, if any."""

    previous: int
    on_chain: int
    deposit: int = 0
    entry_id: UUID | None = None


def check(*, agent: Agent, wallet: Wallet, author: str) -> Check:
    """Book what the chain has more than the ledger.

    Raises Refusal SIMULATION_WALLET, CHAIN_UNAVAILABLE, and BALANCE_CHANGED or ORDER_IN_PROGRESS while trades move it.
    """
    if wallet.kind != Kind.LIVE:
        raise Refusal("SIMULATION_WALLET", "A simulated wallet has nothing on the chain.")
    known = _lamports(wallet.id)
    with outside():
        on_chain = balance_on_chain(wallet.address)
    sol_usd = prices.sol_usd(clock.now())
    return _booked(agent, wallet, Check(known, on_chain), author=author, sol_usd=sol_usd)


def balance_on_chain(address: str) -> int:
    """Lamports of an address, confirmed; from the first RPC that answers. Raises Refusal CHAIN_UNAVAILABLE."""
    request = {"jsonrpc": "2.0", "id": 1, "method": "getBalance", "params": [address, {"commitment": "confirmed"}]}
    failure: FeedFailure | None = None
    for provider in registry.chain().providers:
        try:
            answer = provider.post(request, lane=Lane.SIGNALS)
        except FeedFailure as problem:
            failure = problem
            continue
        result = answer.get("result") if isinstance(answer, dict) else None
        lamports = result.get("value") if isinstance(result, dict) else None
        if type(lamports) is int and lamports >= 0:
            return lamports
    raise Refusal("CHAIN_UNAVAILABLE", "No Solana RPC answered with a balance. Try again.") from failure


@locks.unit_of_work
@transaction.atomic
def _booked(agent: Agent, wallet: Wallet, seen: Check, *, author: str, sol_usd: Decimal | None) -> Check:
    locks.agents([agent.id])
    wallets.lock([wallet.id])
    if Order.objects.filter(wallet=wallet, state__in=OPEN_STATES).exists():
        raise Refusal("ORDER_IN_PROGRESS", "An order of this wallet is on its way. Try again when it is final.")
    if _lamports(wallet.id) != seen.previous:
        raise Refusal("BALANCE_CHANGED", "The wallet traded meanwhile. Try again.")
    difference = seen.on_chain - seen.previous
    if difference <= LEAST_LAMPORTS:
        return seen
    now = clock.now()
    draft = wallets.Draft(
        wallet_id=wallet.id,
        kind=EntryKind.DEPOSIT,
        at=now,
        lines=(
            wallets.Line(SOL_MINT, AccountKind.OWN, difference),
            wallets.Line(SOL_MINT, AccountKind.EXTERNAL, -difference),
        ),
        epoch=Wallet.objects.values_list("epoch", flat=True).get(id=wallet.id),
        author=author,
        sol_usd=sol_usd,
    )
    wallets.post([draft])
    payload = {
        "transactionId": str(draft.id),
        "transactionType": str(draft.kind),
        "walletAddress": wallet.address,
        "tokenAddress": SOL_MINT,
        "amountUnits": str(difference),
        "balanceUnits": str(seen.on_chain),
    }
    events.append([events.NewEvent(agent.id, "balance_update", payload, now)])
    return replace(seen, deposit=difference, entry_id=draft.id)


def _lamports(wallet_id: UUID) -> int:
    return balances.sol_balances([wallet_id])[wallet_id].units
