"""The portfolio page: live positions of all agents, the figures on top, what closed lately, and first steps."""

from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from agents import services as agents
from agents.models import Agent
from agents.selectors import visible
from nexgent import clock, money
from nexgent.accounts import services as accounts
from nexgent.accounts.endpoints import mine
from nexgent.accounts.models import Role
from nexgent.errors import NotFound, Refusal
from nexgent.events import registry, selectors
from nexgent.web import beginnings, portfolio, rows
from nexgent.web.access import page
from prices import selectors as prices
from trading import services as trading
from trading.models import Position
from wallets import services as wallets
from wallets.models import Wallet

FIRST_AGENT = "First agent"
FIRST_DEPOSIT_LAMPORTS = 10 * money.LAMPORTS_PER_SOL
EXAMPLE_MINT = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"


@require_GET
@page
def home(request: Any) -> HttpResponse:
    """The whole page; a script that comes back after an outage gets its inside and a new place in the streams."""
    context = _context(request)
    template = "live/refresh.html" if request.htmx.target == "live" else "pages/portfolio.html"
    return render(request, template, context)


def _context(request: Any) -> dict[str, Any]:
    """Everything at one moment of the database, the numbers of the streams included: what follows comes by socket."""
    now, principal = clock.now(), request.principal
    with selectors.one_moment():
        streams = registry.streams(principal)
        numbers = selectors.seqs(streams)
        agent_ids = [stream for stream in streams if stream != principal.workspace_id]
        held = list(rows.open_positions(agent_ids=agent_ids))
        ticks = prices.latest(sorted({position.token_id for position in held}))
        return {
            "rows": rows.rows(held, ticks=ticks, now=now),
            "closed": portfolio.closed(agent_ids),
            "summary": portfolio.summary(agent_ids, now=now),
            "has_agents": bool(agent_ids),
            "buyers": beginnings.buyers(agent_ids),
            "since": ",".join(f"{stream}:{number}" for stream, number in numbers.items()),
            "principal": principal,
            "is_owner": principal.has_role(Role.OWNER),
        }


@require_GET
@page
def summary(request: Any) -> HttpResponse:
    """The figures on top, and beside them who can buy: both change with every trade and deposit."""
    agent_ids = _agent_ids(request)
    context = {
        "summary": portfolio.summary(agent_ids, now=clock.now()),
        "has_agents": bool(agent_ids),
        "buyers": beginnings.buyers(agent_ids),
        "is_owner": request.principal.has_role(Role.OWNER),
    }
    return render(request, "live/summary.html", context)


@require_GET
@page
def price_times(request: Any) -> HttpResponse:
    """Per held mint its newest price and when it was seen: a price that did not change is not announced."""
    mints = Position.objects.filter(agent_id__in=_agent_ids(request), closed_at=None).values_list("token_id", flat=True)
    known = prices.latest(sorted(set(mints)))
    return JsonResponse(
        {mint: [int(tick.observed_at.timestamp() * 1000), money.text(tick.price_sol)] for mint, tick in known.items()}
    )


@require_POST
@page(least=Role.TRADER)
def close_position(request: Any, position_id: UUID) -> HttpResponse:
    """Sell all of a position; the row leaves when the sale is booked."""
    principal = request.principal
    position = mine(Position.objects.filter(id=position_id), principal).first()
    try:
        if position is None or position.closed_at is not None:
            raise NotFound("position")
        trading.position_close(position_id=position.id, principal=principal.name)
    except Refusal as refusal:
        toast = {"kind": "error", "title": "Not closed", "text": refusal.message}
        return _unswapped(render(request, "live/toast.html", toast, status=refusal.status))
    return render(request, "components/closing.html")


@require_POST
@page(least=Role.OWNER)
def first_agent(request: Any) -> HttpResponse:
    """A simulated agent with simulated SOL, ready for a signal. One click makes one, two make one as well."""
    principal = request.principal
    if not Agent.objects.filter(workspace_id=principal.workspace_id, archived_at=None).exists():
        agent = agents.agent_create(
            workspace_id=principal.workspace_id,
            user_id=principal.user.id,
            name=FIRST_AGENT,
            author=principal.user.email,
        )
        wallet = Wallet.objects.get(assignments__agent=agent, assignments__ended_at=None)
        wallets.deposit(wallet_id=wallet.id, lamports=FIRST_DEPOSIT_LAMPORTS, author=principal.user.email)
    return render(request, "live/refresh.html", _context(request))


@require_POST
@page(least=Role.OWNER)
def signal_key(request: Any) -> HttpResponse:
    """A key that may post signals and nothing else, inside the command that posts the first one; shown once."""
    principal = request.principal
    try:
        new = accounts.api_key_create(
            user_id=principal.user.id, workspace_id=principal.workspace_id, name="Signals", scopes=["signals"]
        )
    except Refusal as refusal:
        toast = {"kind": "error", "title": "No key was made", "text": refusal.message}
        return _unswapped(render(request, "live/toast.html", toast, status=refusal.status))
    return render(request, "components/signal_command.html", {"command": signal_command(request, new.raw)})


def signal_command(request: Any, key: str) -> str:
    """The shell command that posts a signal to this installation."""
    base = settings.PUBLIC_URL.rstrip("/") or f"{request.scheme}://{request.get_host()}"
    signal = {"tokenAddress": EXAMPLE_MINT, "symbol": "BONK", "signalType": "Manual", "signalStrength": 5}
    return (
        f"curl {base}/api/v1/trading-signals \\\n"
        f"  -H 'X-API-Key: {key}' \\\n"
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d '{orjson.dumps(signal, option=orjson.OPT_INDENT_2).decode()}'"
    )


def _agent_ids(request: Any) -> list[UUID]:
    return list(visible(request.principal).values_list("id", flat=True))


def _unswapped(response: HttpResponse) -> HttpResponse:
    """Only the out-of-band part counts; the target stays as it is."""
    response["HX-Reswap"] = "none"
    return response
