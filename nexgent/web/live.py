"""Events and prices as HTML: out-of-band fragments for pages that listen on `/ws/ui/`.

Rows are rendered from the database as it is, by the page's own template, so that a replayed or doubled event shows the
same. A fragment whose target is not on the page is dropped by the page (`static/js/fragments.js`).
"""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from django.template.loader import render_to_string

from nexgent import clock
from nexgent.events import registry
from nexgent.events.records import RESET, Record
from nexgent.web import portfolio
from nexgent.web import rows as table
from prices import selectors as prices
from prices.records import PriceTick
from trading.models import Position

REFRESH = '<div id="refresh" hx-swap-oob="true" data-due></div>'
"""Asks the page to fetch itself anew."""
NUDGE = '<div id="refresh" hx-swap-oob="true" hidden></div>'
"""Changes nothing on the page but that it asks for the figures on top again."""
WHOLE_PAGE = frozenset({RESET, "agent_created", "agent_updated", "agent_deleted", "agent_archived", "wallet_reset"})


def html(record: Record) -> str | None:
    """The fragments of one event."""
    if record.type in WHOLE_PAGE:
        return REFRESH
    if record.type == "position_update":
        return _position_html(record.payload)
    if record.type == "order_update":
        return _order_html(record.payload)
    return NUDGE if record.type == "balance_update" else None


def price_html(agent_id: UUID, changed: registry.Prices) -> str | None:
    """The cells that follow the price, of the agent's positions in these mints."""
    held = list(table.open_positions(agent_ids=[agent_id]).filter(token_id__in=list(changed)))
    if not held:
        return None
    now = clock.now()
    known = prices.latest(list(changed))
    ticks = {mint: _tick(mint, Decimal(sol), known.get(mint)) for mint, (sol, _) in changed.items()}
    return render_to_string("live/prices.html", {"rows": table.rows(held, ticks=ticks, now=now)})


def register() -> None:
    """Offer the fragments to live connections; called when the app starts."""
    registry.register("web", registry.Live(html=html, price_html=price_html))


def _tick(mint: str, price: Decimal, known: PriceTick | None) -> PriceTick:
    """The announced price; its time is that of the stored one, which is the same price or a newer observation."""
    if known is None:
        return PriceTick(mint, price, clock.now(), "announced")
    return replace(known, price_sol=price)


def _position_html(payload: dict[str, object]) -> str | None:
    kind = payload.get("eventType")
    if kind == "position_closed":
        return _closed_html(str(payload["positionId"]))
    position = payload.get("position")
    assert isinstance(position, dict)
    return _row_html(str(position["id"]), is_new=kind == "position_created")


def _row_html(position_id: str, *, is_new: bool = False) -> str | None:
    agent_id = Position.objects.filter(id=position_id).values_list("agent_id", flat=True).first()
    if agent_id is None:
        return None
    position = table.open_positions(agent_ids=[agent_id]).filter(id=position_id).first()
    if position is None:
        return None  # closed meanwhile: the event that says so follows
    row = table.row(position, prices.latest([position.token_id]).get(position.token_id), now=clock.now())
    return render_to_string("live/opened.html" if is_new else "live/updated.html", {"row": row})


def _closed_html(position_id: str) -> str | None:
    position = Position.objects.select_related("agent").filter(id=position_id, closed_at__isnull=False).first()
    if position is None:
        return None
    return render_to_string("live/closed.html", {"item": portfolio.closed_item(position)})


def _order_html(payload: dict[str, object]) -> str | None:
    """An order that ended without a fill: its position's row as it is now, and a word when it failed."""
    position_id = payload.get("positionId")
    row = _row_html(str(position_id)) if position_id else None
    if payload.get("state") != "failed":
        return row
    purpose = str(payload.get("purpose", ""))
    words = "Entry" if purpose == "entry" else portfolio.REASONS.get(purpose, purpose.upper())
    code = str(payload.get("code") or "unknown").replace("_", " ").lower()
    toast = render_to_string(
        "live/toast.html", {"kind": "error", "title": f"{words} failed", "text": code, "mint": payload["tokenAddress"]}
    )
    return (row or "") + toast
