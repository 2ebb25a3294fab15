"""`/ledger`: the books as an auditor reads them: each entry of each epoch with its postings, and balances at a time."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent import clock, money
from nexgent.accounts.endpoints import Endpoint, mine
from nexgent.accounts.models import Role
from nexgent.accounts.principals import Principal
from nexgent.api import caching, openapi, pagination, query
from nexgent.api.openapi import describe
from nexgent.api.rendering import dumps
from nexgent.api.wire import stamp
from nexgent.errors import InvalidInput, NotFound, Refusal
from prices.models import Token
from wallets import selectors
from wallets.ledger_shapes import BalanceAtShape, EntryShape
from wallets.models import AccountKind, Entry, EntryKind, Posting, Wallet

LISTING = pagination.Listing(
    keys={"createdAt": pagination.by_id("id"), "time": pagination.by_time("at")},
    tie=pagination.by_id("id"),
    default="-createdAt",
)
BALANCES = pagination.Listing(
    keys={"tokenAddress": pagination.by_text("tokenAddress")},
    tie=pagination.by_text("tokenAddress"),
    default="tokenAddress",
    limit_default=None,
)
WALLET = openapi.address("walletAddress").required()


def entries_wire(rows: Sequence[Entry]) -> list[dict[str, Any]]:
    """The entries with their lines; one read of postings, one of tokens."""
    lines: defaultdict[UUID, list[Posting]] = defaultdict(list)
    for posting in Posting.objects.filter(entry_id__in=[row.id for row in rows]).order_by("entry_id", "line"):
        lines[posting.entry_id].append(posting)
    known = _tokens(posting.asset for found in lines.values() for posting in found)
    return [
        {
            "id": row.id,
            "walletAddress": row.wallet.address,
            "entryType": row.kind,
            "time": stamp(row.at),
            "epoch": row.epoch,
            "orderId": row.order_id,
            "reason": row.reason or None,
            "author": row.author or None,
            "postings": [_posting_wire(posting, known) for posting in lines[row.id]],
        }
        for row in rows
    ]


def _posting_wire(posting: Posting, known: dict[str, tuple[str, int]]) -> dict[str, Any]:
    symbol, decimals = known.get(posting.asset, ("", 0))
    return {
        "line": posting.line,
        "account": posting.kind,
        "tokenAddress": posting.asset,
        "tokenSymbol": symbol or None,
        "amount": money.text(money.tokens(posting.amount, decimals)),
        "units": str(posting.amount),
    }


def _tokens(mints: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Symbol and decimals by mint."""
    rows = Token.objects.filter(mint__in=set(mints)).values_list("mint", "symbol", "decimals")
    known = {mint: (symbol, decimals) for mint, symbol, decimals in rows}
    return {**known, money.SOL_MINT: ("SOL", money.SOL_DECIMALS)}


def wallet_of(principal: Principal, address: str | None) -> Wallet:
    """The workspace's wallet of this address; `NotFound` for others, a refusal for who is limited to some agents."""
    if principal.is_limited:
        raise Refusal("AUTHORIZATION_ERROR", "The ledger is for members who see every agent.")
    if address is None:
        raise InvalidInput({"walletAddress": "is required"})
    wallet = mine(Wallet.objects.all(), principal).filter(address=address).first()
    if wallet is None:
        raise NotFound("wallet")
    return wallet


class Entries(Endpoint):
    """Newest first, all epochs: a reset begins a new count elsewhere, the books go on."""

    scopes = {"GET": "transactions"}
    roles = {"GET": Role.AUDITOR}

    @describe(
        "listLedgerEntries",
        "Entries of a wallet with their postings",
        tag="Ledger",
        answer=list[EntryShape],
        query=(
            WALLET,
            openapi.choice("entryType", EntryKind.values),
            openapi.choice("account", AccountKind.values, "Entries with a line on such an account."),
            openapi.text("tokenAddress", "Entries with a line in this asset.", length_max=44),
            openapi.uuid("orderId"),
            openapi.integer("epoch", least=1, most=2**31 - 1),
            openapi.moment("startTime", "At this time or later."),
            openapi.moment("endTime", "At this time or earlier."),
            openapi.text("q", "Part of reason or author."),
            *openapi.window(LISTING),
        ),
        refusals=("WALLET_NOT_FOUND",),
    )
    def get(self, request: Request) -> Response:
        wallet = wallet_of(request.principal, query.text(request, "walletAddress", length_max=44))
        filters = {
            "kind": query.choice(request, "entryType", EntryKind.values),
            "order_id": query.uuid_param(request, "orderId", required=False),
            "epoch": query.integer(request, "epoch", least=1, most=2**31 - 1),
            "at__gte": query.moment(request, "startTime"),
            "at__lte": query.moment(request, "endTime"),
        }
        rows = Entry.objects.filter(wallet=wallet, **{name: value for name, value in filters.items() if value})
        lines = {
            "kind": query.choice(request, "account", AccountKind.values),
            "asset": query.text(request, "tokenAddress", length_max=44),
        }
        wanted = {name: value for name, value in lines.items() if value}
        if wanted:
            rows = rows.filter(id__in=Posting.objects.filter(wallet=wallet, **wanted).values("entry_id"))
        search = query.text(request, "q")
        if search is not None:
            rows = rows.filter(Q(reason__icontains=search) | Q(author__icontains=search))
        window = pagination.read(request, LISTING)
        found = window.rows(rows.select_related("wallet"))
        return pagination.respond(request, window, found, wire=entries_wire, total=rows.count)


class Balances(Endpoint):
    """What a wallet held at a time: the sum of the postings until then. What orders hold is known of now only."""

    scopes = {"GET": "balances"}
    roles = {"GET": Role.AUDITOR}

    @describe(
        "listLedgerBalances",
        "What a wallet holds, or held at a time",
        tag="Ledger",
        answer=list[BalanceAtShape],
        query=(
            WALLET,
            openapi.moment("at", "Including entries of that time; now unless given."),
            *openapi.window(BALANCES),
        ),
        refusals=("WALLET_NOT_FOUND",),
    )
    def get(self, request: Request) -> Response:
        wallet = wallet_of(request.principal, query.text(request, "walletAddress", length_max=44))
        at = query.moment(request, "at")
        found = selectors.balances(wallet.id, at=at)
        known = _tokens(found)
        rows = [
            {
                "walletAddress": wallet.address,
                "tokenAddress": asset,
                "tokenSymbol": known.get(asset, ("", 0))[0] or None,
                "balance": money.text(money.tokens(balance.units, known.get(asset, ("", 0))[1])),
                "units": str(balance.units),
                "held": money.text(money.tokens(balance.held, known.get(asset, ("", 0))[1])),
                "time": stamp(at or clock.now()),
            }
            for asset, balance in found.items()
        ]
        wanted = pagination.read(request, BALANCES)
        response = pagination.respond(request, wanted, wanted.picked(rows), wire=list, total=lambda: len(rows))
        if at is None:  # "now" moves on from answer to answer, which is no change of what the wallet holds
            response["ETag"] = caching.tag(dumps([{**row, "time": None} for row in response.data]))
        return response
