"""Vector family balances: the effect of a transaction on a wallet, posted through the real ledger in a database."""

from datetime import UTC, datetime
from typing import Any

from django.db import IntegrityError, transaction

from nexgent.accounts.models import Workspace
from nexgent.errors import Refusal
from nexgent.ids import uuid7
from tests.vectors.figures import amount, whole
from wallets import selectors, services
from wallets.models import AccountKind, EntryKind, Wallet
from wallets.services import Draft, Line, NewHold

NOW = datetime(2024, 1, 1, tzinfo=UTC)
COUNTER = {
    EntryKind.DEPOSIT: AccountKind.EXTERNAL,
    EntryKind.SWAP: AccountKind.MARKET,
    EntryKind.BURN: AccountKind.BURNED,
}


class _RolledBack(Exception):
    """Undoes what a vector wrote."""


def apply_transaction_to_balances(vector: dict[str, Any]) -> dict[str, Any]:
    given, results = vector["input"], []
    try:
        with transaction.atomic():
            workspace = Workspace.objects.create(name="vectors")
            wallet = services.wallet_create(workspace_id=workspace.id)
            results.append(_applied(wallet, given["balances_before"], given["transaction"]))
            raise _RolledBack
    except _RolledBack:
        return results[0]


def _applied(wallet: Wallet, before: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
    try:
        with transaction.atomic():
            _post(wallet, EntryKind.DEPOSIT, [(asset, whole(units)) for asset, units in before.items()])
            _trade(wallet, before, given)
    except Refusal as refusal:
        return {"ok": False, "error_code": refusal.code.lower(), "balances_after": before}
    held = selectors.balances(wallet.pk)
    return {"ok": True, "balances_after": {asset: amount(balance.units) for asset, balance in held.items()}}


def _trade(wallet: Wallet, before: dict[str, str], given: dict[str, Any]) -> None:
    kind, asset, units = EntryKind(given["type"]), given["input_token"], whole(given["input_amount"])
    if units <= 0:
        raise Refusal("INVALID_AMOUNT")
    if kind == EntryKind.DEPOSIT:
        _post(wallet, kind, [(asset, units)])
        return
    if kind == EntryKind.SWAP and not given["output_token"]:
        raise Refusal("OUTPUT_REQUIRED")
    if asset not in before:
        raise Refusal("BALANCE_NOT_FOUND")
    order_id = uuid7()
    services.hold([NewHold(order_id, wallet.pk, asset, units, NOW)])
    services.release([order_id])
    moves = [(asset, -units)]
    if kind == EntryKind.SWAP:
        moves.append((given["output_token"], whole(given["output_amount"])))
    _post(wallet, kind, moves)


def _post(wallet: Wallet, kind: EntryKind, moves: list[tuple[str, int]]) -> None:
    lines = [Line(asset, AccountKind.OWN, units) for asset, units in moves]
    lines += [Line(asset, COUNTER[kind], -units) for asset, units in moves]
    try:
        with transaction.atomic():
            services.post([Draft(wallet.pk, kind, NOW, tuple(lines))])
    except IntegrityError as error:
        raise Refusal("INSUFFICIENT_BALANCE") from error


FAMILIES = {"balances": apply_transaction_to_balances}
