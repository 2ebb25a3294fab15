"""`/trading-signals/export`: signals as CSV, oldest first; and what exports of trades say about their signals."""

from collections.abc import Iterator
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.request import Request

from nexgent import clock
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.models import Role
from nexgent.api import query, sheets
from nexgent.api.openapi import describe, moment, text
from nexgent.api.throttling import EXPORTS
from signals import selectors
from signals.models import Signal

HEADER = (
    "Signal ID",
    "Created At",
    "Signal Strength",
    "Token Symbol",
    "Token Address",
    "Trading Strategy",
    "Activation Reason",
    "Source",
    "Updated At",
)


class Export(Endpoint):
    """A row per signal that was not deleted."""

    scopes = {"GET": "signals"}
    roles = {"GET": Role.AUDITOR}
    throttles = {"GET": (EXPORTS,)}

    @describe(
        "exportSignals",
        "Signals as CSV, oldest first",
        tag="Signals",
        answer=str,
        produces="text/csv",
        query=(
            text("tokenAddress"),
            text("signalType"),
            moment("startDate", "From this time on."),
            moment("endDate", "Until this time."),
            text("timezone", "IANA name; UTC without.", length_max=64),
        ),
    )
    def get(self, request: Request) -> sheets.Sheet:
        zone = sheets.zone_of(request)
        rows = selectors.signals(
            request.principal.workspace_id,
            token_address=query.text(request, "tokenAddress") or "",
            signal_type=query.text(request, "signalType") or "",
            start=query.moment(request, "startDate"),
            end=query.moment(request, "endDate"),
        )

        def cells(signal: Signal) -> list[str]:
            return [
                str(signal.id),
                sheets.moment(signal.created_at, zone),
                str(signal.signal_strength),
                sheets.text(signal.symbol),
                sheets.text(signal.token_address),
                sheets.text(signal.signal_type),
                sheets.text(signal.activation_reason),
                sheets.text(signal.source),
                sheets.moment(signal.updated_at, zone),
            ]

        return sheets.Sheet(
            ([cells(signal) for signal in batch] for batch in _batches(rows)),
            header=HEADER,
            file_name=f"trading-signals-{clock.now().astimezone(zone):%Y-%m-%d}.csv",
        )


def _batches(rows: QuerySet[Signal]) -> Iterator[list[Signal]]:
    """Signals in the order they came in, each batch a short query that goes on after the one before."""
    after = 0
    while batch := list(rows.filter(id__gt=after).order_by("id")[: sheets.BATCH]):
        yield batch
        after = batch[-1].id


def texts(workspace_id: UUID, signal_ids: list[int]) -> dict[int, tuple[str, str]]:
    """Type and activation reason of the workspace's signals by id, deleted ones too: trades rest on them."""
    rows = Signal.objects.filter(workspace_id=workspace_id, id__in=signal_ids)
    return {row[0]: (row[1], row[2]) for row in rows.values_list("id", "signal_type", "activation_reason")}
