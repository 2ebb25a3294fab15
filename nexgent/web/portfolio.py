"""What the portfolio page tells beside its rows: the figures on top, what closed lately, where the streams stand.

Closed trades are those of the current epoch of their wallets, as in every list: a reset begins a new count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef

from nexgent import money
from prices import selectors as prices
from prices.records import EXIT_MAX_AGE
from trading.models import Position
from trading.rules import pnl
from trading.rules.gain import HUNDRED
from wallets.models import Entry

CLOSED_SHOWN = 20

REASONS = {
    "stop_loss": "Stop loss",
    "take_profit": "Take profit",
    "stale_trade": "Stale close",
    "manual": "Closed by hand",
    "signal": "Sell signal",
    "write_off": "Written off",
    "tape_end": "End of tape",
}
"""Close reasons in words."""

_CASH = """
SELECT coalesce(sum(a.balance), 0), coalesce(sum(a.held), 0)
FROM agents_assignment s JOIN wallets_account a ON a.wallet_id = s.wallet_id
WHERE s.agent_id = ANY(%s) AND s.ended_at IS NULL AND a.asset = %s AND a.kind = 'own'
"""
# A write-off has no fill: its loss is what the position lost beyond the fills it had.
_REALISED = """
SELECT coalesce(sum(lamports), 0) FROM (
    SELECT f.realised_lamports AS lamports FROM trading_fill f JOIN trading_order o ON o.id = f.order_id
    JOIN wallets_wallet w ON w.id = o.wallet_id
    JOIN wallets_entry e ON e.order_id = o.id AND e.epoch = w.epoch
    WHERE o.agent_id = ANY(%(agents)s) AND o.side = 1 AND f.at >= %(since)s
    UNION ALL
    SELECT p.realised_lamports - coalesce((
        SELECT sum(f.realised_lamports) FROM trading_fill f JOIN trading_order o ON o.id = f.order_id
        WHERE o.position_id = p.id AND o.side = 1), 0)
    FROM trading_position p
    JOIN wallets_wallet w ON w.id = p.wallet_id
    JOIN wallets_entry e ON e.order_id = p.opened_by_id AND e.epoch = w.epoch
    WHERE p.agent_id = ANY(%(agents)s) AND p.close_reason = 'write_off' AND p.closed_at >= %(since)s
) AS parts
"""


@dataclass(frozen=True, slots=True)
class Summary:
    """Amounts in lamports; what has no price is left out of them and counted in `unpriced`."""

    equity: int
    free: int
    open_positions: int
    stale: int
    unpriced: int
    unrealised: int
    unrealised_percent: Decimal | None
    realised_today: int
    equity_usd: Decimal | None
    now_ms: int


@dataclass(frozen=True, slots=True)
class Closed:
    """One closed position; `percent` is its P/L relative to what was paid."""

    id: UUID
    agent_name: str
    symbol: str
    mint: str
    reason: str
    reason_words: str
    profit: int
    percent: Decimal | None
    closed_at: datetime
    held: str


def summary(agent_ids: Sequence[UUID], *, now: datetime) -> Summary:
    """The figures of these agents together. "Today" is the UTC day, as in the limits on daily loss."""
    held = list(
        Position.objects.filter(agent_id__in=agent_ids, closed_at=None).values_list(
            "token_id", "remaining_units", "decimals", "cost_lamports", "rent_lamports"
        )
    )
    ticks = prices.latest(sorted({mint for mint, *_ in held}))
    value = unrealised = cost_priced = deposits = stale = unpriced = 0
    for mint, units, decimals, cost, rent in held:
        deposits += rent
        tick = ticks.get(mint)
        if tick is None:
            unpriced += 1
            continue
        stale += not prices.is_fresh(tick, now=now, max_age=EXIT_MAX_AGE)
        value += money.value_lamports(units, tick.price_sol, decimals)
        unrealised += pnl.unrealised(units, tick.price_sol, decimals, cost)
        cost_priced += cost
    cash, reserved = _cash(agent_ids)
    equity = cash + deposits + value
    return Summary(
        equity=equity,
        free=cash - reserved,
        open_positions=len(held),
        stale=stale,
        unpriced=unpriced,
        unrealised=unrealised,
        unrealised_percent=_percent(unrealised, cost_priced),
        realised_today=realised_since(agent_ids, now.replace(hour=0, minute=0, second=0, microsecond=0)),
        equity_usd=pnl.usd_of(equity, prices.sol_usd(now)),
        now_ms=int(now.timestamp() * 1000),
    )


def realised_since(agent_ids: Sequence[UUID], since: datetime) -> int:
    """What sales, and write-offs, of these agents have realised since then, in lamports."""
    with connection.cursor() as cursor:
        cursor.execute(_REALISED, {"agents": list(agent_ids), "since": since})
        return int(cursor.fetchone()[0])


def closed(agent_ids: Sequence[UUID], *, limit: int = CLOSED_SHOWN) -> list[Closed]:
    """The positions that closed last, newest first."""
    bought = Entry.objects.filter(order_id=OuterRef("opened_by_id"), epoch=OuterRef("wallet__epoch"))
    rows = Position.objects.filter(agent_id__in=agent_ids, closed_at__isnull=False).filter(Exists(bought))
    rows = rows.select_related("agent")
    return [closed_item(row) for row in rows.order_by("-closed_at", "-id")[:limit]]


def closed_item(position: Position) -> Closed:
    """A closed position as the feed shows it."""
    assert position.closed_at is not None
    return Closed(
        id=position.id,
        agent_name=position.agent.name,
        symbol=position.symbol or "TOKEN",
        mint=position.token_id,
        reason=position.close_reason,
        reason_words=REASONS.get(position.close_reason, position.close_reason.replace("_", " ").capitalize()),
        profit=position.realised_lamports,
        percent=_percent(position.realised_lamports, position.invested_lamports),
        closed_at=position.closed_at,
        held=duration(position.closed_at - position.opened_at),
    )


def duration(time: timedelta) -> str:
    """A length of time in its largest one or two units."""
    seconds = int(time.total_seconds())
    for size, unit, small_size, small_unit in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            rest = seconds % size // small_size
            return f"{seconds // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{seconds} s"


@money.exact
def _percent(part: int, whole: int) -> Decimal | None:
    return Decimal(part) * HUNDRED / whole if whole else None


def _cash(agent_ids: Sequence[UUID]) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(_CASH, [list(agent_ids), money.SOL_MINT])
        balance, held = cursor.fetchone()
    return int(balance), int(held)
