"""What a person may post to the ledger of a simulated wallet: deposits, withdrawals, corrections, of SOL."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import Field

from nexgent import money
from nexgent.accounts.principals import Principal
from nexgent.api.bodies import Body, DecimalValue, Moment, UuidValue
from nexgent.errors import InvalidInput
from wallets import services as wallets
from wallets.models import Entry, EntryKind, Wallet

AMOUNT_MAX = Decimal(10**12)
MINT_LENGTH_MAX, SYMBOL_LENGTH_MAX, DESTINATION_LENGTH_MAX = 255, 20, 255


class NewTransaction(Body):
    """What the reference's clients send; prices, fees and values of theirs are checked and not believed."""

    agent_id: UuidValue
    transaction_type: str = Field(json_schema_extra={"enum": EntryKind.values})
    wallet_address: str | None = Field(default=None, max_length=44)
    transaction_value_usd: DecimalValue | None = Field(default=None, ge=0)
    transaction_time: Moment | None = None
    destination_address: str | None = Field(default=None, max_length=DESTINATION_LENGTH_MAX)
    signal_id: int | None = Field(default=None, ge=0, le=2**63 - 1)
    fees: DecimalValue | None = None
    routes: Any = None
    input_mint: str | None = Field(default=None, max_length=MINT_LENGTH_MAX)
    input_symbol: str | None = Field(default=None, max_length=SYMBOL_LENGTH_MAX)
    input_amount: DecimalValue | None = None
    input_price: DecimalValue | None = None
    output_mint: str | None = Field(default=None, max_length=MINT_LENGTH_MAX)
    output_symbol: str | None = Field(default=None, max_length=SYMBOL_LENGTH_MAX)
    output_amount: DecimalValue | None = None
    output_price: DecimalValue | None = None
    slippage: DecimalValue | None = None
    price_impact: DecimalValue | None = None
    is_dca: bool | None = None
    reason: str | None = Field(default=None, max_length=1000)


def post_entry(
    principal: Principal, body: NewTransaction, wallet: Wallet, *, agent_id: UUID, sol_usd: Decimal | None
) -> Entry:
    """Post it; raises `InvalidInput` that names the field, and what `wallets.services` refuses."""
    lamports = _lamports(body)
    said: dict[str, Any] = {
        "wallet_id": wallet.id,
        "author": principal.user.email[:80],
        "sol_usd": sol_usd,
        "stream_id": agent_id,
    }
    if body.transaction_type == EntryKind.DEPOSIT:
        return wallets.deposit(lamports=lamports, **said)
    if body.transaction_type == EntryKind.WITHDRAWAL:
        destination = (body.destination_address or "").strip()
        return wallets.withdraw(lamports=lamports, destination=destination, **said)
    return wallets.adjust(asset=money.SOL_MINT, amount=lamports, reason=body.reason or "", **said)


def _lamports(body: NewTransaction) -> int:
    """What is moved. Only SOL comes from outside, tokens come by trades; a sign is for adjustments."""
    mint, amount, name = body.input_mint, body.input_amount, "inputAmount"
    if amount is None:
        mint, amount, name = body.output_mint, body.output_amount, "outputAmount"
    if amount is None:
        raise InvalidInput({"inputAmount": "is required"})
    if mint not in (None, "", money.SOL_MINT):
        raise InvalidInput({name.replace("Amount", "Mint"): f"must be SOL ({money.SOL_MINT})"})
    is_signed = body.transaction_type == EntryKind.ADJUSTMENT
    if amount == 0 or (amount < 0 and not is_signed) or abs(amount) > AMOUNT_MAX:
        raise InvalidInput({name: f"must be above 0{' or below' if is_signed else ''}, at most {AMOUNT_MAX}"})
    lamports = money.lamports(amount)
    if money.sol(lamports) != amount:
        raise InvalidInput({name: f"must have at most {money.SOL_DECIMALS} decimals"})
    return lamports
