"""What moves funds: entries, holds, and the simulated wallet's deposits, withdrawals and adjustments.

`post`, `hold` and `release` are for a caller that is inside a transaction and has the wallets locked (`lock`): the
wallet row is the mutex of its accounts and holds. Each writes whole sets with one statement per table. The database
adds the balances and refuses what does not balance (`migrations/0002_guards.py`).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection, transaction

from nexgent import clock, rows
from nexgent.errors import InvalidInput, NotFound, Refusal
from nexgent.events import services as events
from nexgent.ids import uuid7
from nexgent.money import SOL_MINT
from wallets.models import Account, AccountKind, Entry, EntryKind, Hold, Kind, Posting, Wallet

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
SIMULATED_PREFIX = "sim_"
_SIMULATED_ADDRESS_BYTES = 27
_ENTRY_FIELDS = (
    *("id", "wallet", "kind", "order_id", "epoch", "reason", "author"),
    *("sol_usd", "destination", "at"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A signed amount (lamports or token base units) on one account of the entry's wallet."""

    asset: str
    kind: AccountKind
    amount: int


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry to post. Its lines sum to zero per asset; lines of amount 0 are left out."""

    wallet_id: UUID
    kind: EntryKind
    at: datetime
    lines: tuple[Line, ...]
    order_id: UUID | None = None
    epoch: int = 1
    reason: str = ""
    author: str = ""
    sol_usd: Decimal | None = None
    destination: str = ""
    id: UUID = field(default_factory=uuid7)


@dataclass(frozen=True, slots=True)
class NewHold:
    """Funds to set aside for an order that is not final."""

    order_id: UUID
    wallet_id: UUID
    asset: str
    amount: int
    at: datetime


def post(drafts: Sequence[Draft]) -> None:
    """Write entries: missing accounts, entries and postings in one statement each, nothing fetched.

    The caller is inside a transaction and holds the wallets' locks. The database raises IntegrityError for an entry
    that does not balance, an overdraft, or a second entry of one order.
    """
    postings = [
        (draft.id, number, draft.wallet_id, line.asset, str(line.kind), line.amount)
        for draft in drafts
        for number, line in enumerate(line for line in draft.lines if line.amount)
    ]
    accounts = sorted({(wallet_id, asset, kind) for _, _, wallet_id, asset, kind, _ in postings})
    entries = [
        (d.id, d.wallet_id, str(d.kind), d.order_id, d.epoch, d.reason, d.author, d.sol_usd, d.destination, d.at)
        for d in drafts
    ]
    rows.insert(Account, ("wallet", "asset", "kind"), accounts, conflict="ON CONFLICT DO NOTHING")
    rows.insert(Entry, _ENTRY_FIELDS, entries)
    rows.insert(Posting, ("entry", "line", "wallet", "asset", "kind", "amount"), postings)


def hold(holds: Sequence[NewHold]) -> None:
    """Set funds aside, all or nothing; raises Refusal INSUFFICIENT_BALANCE when an account's free funds do not suffice.

    The caller is inside a transaction and holds the wallets' locks.
    """
    if not holds:
        return
    wanted: dict[tuple[UUID, str], int] = {}
    for new in holds:
        key = (new.wallet_id, new.asset)
        wanted[key] = wanted.get(key, 0) + new.amount
    free = _free(list(wanted))
    for (wallet_id, asset), amount in wanted.items():
        _refuse_above(wallet_id, asset, amount, free.get((wallet_id, asset), 0))
    rows.insert(
        Hold,
        ("order_id", "wallet", "asset", "amount", "at"),
        [(new.order_id, new.wallet_id, new.asset, new.amount, new.at) for new in holds],
    )


def release(order_ids: Sequence[UUID]) -> None:
    """Give holds back. Orders without a hold are no error, so a repeat changes nothing."""
    if order_ids:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM wallets_hold WHERE order_id = ANY(%s)", [list(order_ids)])


def lock(wallet_ids: Sequence[UUID]) -> None:
    """Take the wallets' row locks in id order until the transaction ends; read their facts in later statements."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM wallets_wallet WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [list(wallet_ids)]
        )
        found = len(cursor.fetchall())
    if found != len(set(wallet_ids)):
        raise NotFound("wallet")


def wallet_create(*, workspace_id: UUID, kind: str = Kind.SIMULATION, address: str | None = None) -> Wallet:
    """A wallet without funds. A simulation wallet gets a random address `sim_…`; a live one must bring its own."""
    if kind == Kind.LIVE and not address:
        raise InvalidInput({"address": "A live wallet needs an address."})
    return Wallet.objects.create(workspace_id=workspace_id, kind=kind, address=address or _simulated_address())


def deposit(
    *,
    wallet_id: UUID,
    lamports: int,
    author: str,
    sol_usd: Decimal | None = None,
    at: datetime | None = None,
    stream_id: UUID | None = None,
) -> Entry:
    """Credit a simulation wallet with SOL; `sol_usd` is USD per SOL now, where known.

    Raises Refusal LIVE_WALLET, InvalidInput, NotFound. With `stream_id` an event `balance_update` is appended there.
    """
    _positive("lamports", lamports)
    return _move(
        wallet_id,
        kind=EntryKind.DEPOSIT,
        counter=AccountKind.EXTERNAL,
        asset=SOL_MINT,
        amount=lamports,
        author=author,
        sol_usd=sol_usd,
        at=at,
        stream_id=stream_id,
    )


def withdraw(
    *,
    wallet_id: UUID,
    lamports: int,
    author: str,
    sol_usd: Decimal | None = None,
    destination: str = "",
    at: datetime | None = None,
    stream_id: UUID | None = None,
) -> Entry:
    """Debit a simulation wallet by free SOL (what is held does not count); `destination` is kept as it was said.

    Raises Refusal INSUFFICIENT_BALANCE and LIVE_WALLET, InvalidInput, NotFound. The rest as in `deposit`.
    """
    _positive("lamports", lamports)
    return _move(
        wallet_id,
        kind=EntryKind.WITHDRAWAL,
        counter=AccountKind.EXTERNAL,
        asset=SOL_MINT,
        amount=-lamports,
        author=author,
        sol_usd=sol_usd,
        at=at,
        stream_id=stream_id,
        destination=destination,
    )


def adjust(
    *,
    wallet_id: UUID,
    asset: str,
    amount: int,
    reason: str,
    author: str,
    sol_usd: Decimal | None = None,
    at: datetime | None = None,
    stream_id: UUID | None = None,
) -> Entry:
    """Correct a simulation wallet's balance by a signed amount of base units; a reason is required.

    Of a token no more can be taken than adjustments brought: the rest belongs to positions and leaves by a sale or a
    write-off. Raises Refusal INSUFFICIENT_BALANCE and LIVE_WALLET, InvalidInput, NotFound. The rest as in `deposit`.
    """
    if not _is_whole(amount) or amount == 0:
        raise InvalidInput({"amount": "Must be a whole number other than 0."})
    if not 32 <= len(asset) <= 44:
        raise InvalidInput({"asset": "Must be the mint address of the asset."})
    if not reason.strip():
        raise InvalidInput({"reason": "An adjustment needs a reason."})
    return _move(
        wallet_id,
        kind=EntryKind.ADJUSTMENT,
        counter=AccountKind.ADJUSTMENT,
        asset=asset,
        amount=amount,
        author=author,
        sol_usd=sol_usd,
        at=at,
        stream_id=stream_id,
        reason=reason.strip(),
    )


def _move(
    wallet_id: UUID,
    *,
    kind: EntryKind,
    counter: AccountKind,
    asset: str,
    amount: int,
    author: str,
    sol_usd: Decimal | None,
    at: datetime | None,
    stream_id: UUID | None,
    reason: str = "",
    destination: str = "",
) -> Entry:
    with transaction.atomic():
        wallet = _simulation_wallet(wallet_id)
        if amount < 0:
            _refuse_above(wallet_id, asset, -amount, _removable(wallet_id, asset, kind))
        draft = Draft(
            wallet_id=wallet_id,
            kind=kind,
            at=at or clock.now(),
            lines=(Line(asset, AccountKind.OWN, amount), Line(asset, counter, -amount)),
            epoch=wallet.epoch,
            reason=reason,
            author=author,
            sol_usd=sol_usd,
            destination=destination,
        )
        post([draft])
        if stream_id is not None:
            events.append([_balance_event(stream_id, wallet, draft)])
        return Entry.objects.get(pk=draft.id)


def _removable(wallet_id: UUID, asset: str, kind: EntryKind) -> int:
    free = _free([(wallet_id, asset)]).get((wallet_id, asset), 0)
    if kind != EntryKind.ADJUSTMENT or asset == SOL_MINT:
        return free
    brought = Account.objects.filter(wallet_id=wallet_id, asset=asset, kind=AccountKind.ADJUSTMENT).first()
    return min(free, -int(brought.balance)) if brought else 0


def _balance_event(stream_id: UUID, wallet: Wallet, draft: Draft) -> events.NewEvent:
    line = draft.lines[0]
    units = Account.objects.get(wallet_id=wallet.pk, asset=line.asset, kind=AccountKind.OWN).balance
    payload = {
        "transactionId": str(draft.id),
        "transactionType": str(draft.kind),
        "walletAddress": wallet.address,
        "tokenAddress": line.asset,
        "amountUnits": str(line.amount),
        "balanceUnits": str(units),
    }
    return events.NewEvent(stream_id, "balance_update", payload, draft.at)


def _simulation_wallet(wallet_id: UUID) -> Wallet:
    lock([wallet_id])
    wallet = Wallet.objects.get(pk=wallet_id)
    if wallet.kind != Kind.SIMULATION:
        raise Refusal("LIVE_WALLET", "The balance of a live wallet follows the chain; it cannot be set here.")
    return wallet


def _free(keys: Sequence[tuple[UUID, str]]) -> dict[tuple[UUID, str], int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT wallet_id, asset, balance - held FROM wallets_account WHERE kind = 'own' AND (wallet_id, asset) IN"
            " (SELECT * FROM unnest(%s::uuid[], %s::varchar[]))",
            [[wallet_id for wallet_id, _ in keys], [asset for _, asset in keys]],
        )
        return {(wallet_id, asset): int(free) for wallet_id, asset, free in cursor.fetchall()}


def _refuse_above(wallet_id: UUID, asset: str, required: int, available: int) -> None:
    if required > available:
        details = {
            "tokenAddress": asset,
            "requiredUnits": str(required),
            "availableUnits": str(available),
        }
        raise Refusal("INSUFFICIENT_BALANCE", "The wallet's free balance does not cover this amount.", details=details)


def _is_whole(amount: object) -> bool:
    """Whether this is an int: a bool, float or Decimal is one unit mistaken for another and never guessed at (D-26)."""
    return type(amount) is int


def _positive(name: str, amount: int) -> None:
    if not _is_whole(amount) or amount <= 0:
        raise InvalidInput({name: "Must be a positive whole number."})


def _simulated_address() -> str:
    number, digits = int.from_bytes(secrets.token_bytes(_SIMULATED_ADDRESS_BYTES), "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    return SIMULATED_PREFIX + digits
