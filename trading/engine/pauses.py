"""Protections at work: which locks hold for an agent now, kept as rows that a person can lift.

The rules name a lock by (kind, mint, start), so that evaluating again finds the same row, and a lifted one stays
lifted. What they look at is of the current epoch of the wallets: a reset begins a new count. A pause that holds already
stays until its end, or until a person lifts it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import Sum

from agents.models import Assignment
from nexgent import money
from nexgent.ids import uuid7
from prices.models import LatestPrice
from trading.models import Position, ProtectionLock
from trading.rules import protections as rules
from trading.rules.policy import Protections
from wallets.selectors import sol_balances

NONE = Protections()


def paused(agent_ids: Sequence[UUID], mint: str, *, now: datetime) -> dict[UUID, str]:
    """Agents that an unlifted lock keeps from entering `mint`, with its reason; one query for the set."""
    locks = ProtectionLock.objects.filter(
        agent_id__in=agent_ids, starts_at__lte=now, ends_at__gt=now, lifted_at=None, mint__in=["", mint]
    ).order_by("-starts_at")
    return {lock.agent_id: f"{lock.protection}: {lock.reason}" for lock in locks}


def check(agent_id: UUID, mint: str, protections: Protections, *, now: datetime) -> str | None:
    """Evaluate an agent's protections and keep their locks; the reason against entering `mint`, or None.

    The caller holds the agent's lock.
    """
    if protections == NONE:
        return None
    _record(agent_id, rules.evaluate(_history(agent_id, protections, now), protections, now))
    return paused([agent_id], mint, now=now).get(agent_id)


def foreseen(agent_id: UUID, mint: str, protections: Protections, *, now: datetime) -> str | None:
    """What `check` would answer, with nothing kept and without the agent's lock."""
    reason = paused([agent_id], mint, now=now).get(agent_id)
    if reason is not None or protections == NONE:
        return reason
    found = rules.evaluate(_history(agent_id, protections, now), protections, now)
    lifted = set(
        ProtectionLock.objects.filter(agent_id=agent_id, lifted_at__isnull=False, ends_at__gt=now).values_list(
            "protection", "mint", "starts_at"
        )
    )
    for lock in found:
        holds = lock.starts_at <= now < lock.ends_at and lock.mint in (None, mint)
        if holds and (str(lock.kind), lock.mint or "", lock.starts_at) not in lifted:
            return f"{lock.kind}: {lock.reason}"
    return None


def _record(agent_id: UUID, locks: list[rules.Lock]) -> None:
    for lock in locks:
        ProtectionLock.objects.get_or_create(
            agent_id=agent_id,
            protection=str(lock.kind),
            mint=lock.mint or "",
            starts_at=lock.starts_at,
            defaults={"id": uuid7(), "reason": lock.reason, "ends_at": lock.ends_at},
        )


def _history(agent_id: UUID, protections: Protections, now: datetime) -> rules.History:
    with connection.cursor() as cursor:
        cursor.execute(_CLOSED, {"agent": agent_id, "since": now - _lookback(protections), "now": now})
        trades = [
            rules.PastTrade(
                mint=mint, closed_at=at, profit_lamports=int(profit), cost_lamports=int(cost), close_reason=reason
            )
            for mint, at, profit, cost, reason in cursor.fetchall()
        ]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    open_cost = Position.objects.filter(agent_id=agent_id, closed_at=None).aggregate(cost=Sum("cost_lamports"))["cost"]
    return rules.History(
        trades=trades,
        equity_lamports=int(open_cost or 0) + _free_sol(agent_id),
        realised_today_lamports=_realised_since(agent_id, midnight) if protections.daily_loss is not None else 0,
        unrealised_lamports=_unrealised(agent_id) if protections.daily_loss is not None else 0,
    )


_CLOSED = """
SELECT p.mint, p.closed_at, p.realised_lamports, p.invested_lamports, p.close_reason
FROM trading_position p
JOIN wallets_wallet w ON w.id = p.wallet_id
JOIN wallets_entry e ON e.order_id = p.opened_by_id AND e.epoch = w.epoch
WHERE p.agent_id = %(agent)s AND p.closed_at > %(since)s AND p.closed_at <= %(now)s
"""
_REALISED = """
SELECT coalesce(sum(lamports), 0) FROM (
    SELECT f.realised_lamports AS lamports FROM trading_fill f JOIN trading_order o ON o.id = f.order_id
    JOIN wallets_wallet w ON w.id = o.wallet_id
    JOIN wallets_entry e ON e.order_id = o.id AND e.epoch = w.epoch
    WHERE o.agent_id = %(agent)s AND o.side = 1 AND f.at >= %(since)s
    UNION ALL
    SELECT p.realised_lamports - coalesce((SELECT sum(f.realised_lamports) FROM trading_fill f
        JOIN trading_order o ON o.id = f.order_id WHERE o.position_id = p.id AND o.side = 1), 0)
    FROM trading_position p
    JOIN wallets_wallet w ON w.id = p.wallet_id
    JOIN wallets_entry e ON e.order_id = p.opened_by_id AND e.epoch = w.epoch
    WHERE p.agent_id = %(agent)s AND p.closed_at >= %(since)s AND p.close_reason = 'write_off'
) AS today
"""


def _realised_since(agent_id: UUID, since: datetime) -> int:
    """Profit of every sale since then, parts included, and the loss of what was written off."""
    with connection.cursor() as cursor:
        cursor.execute(_REALISED, {"agent": agent_id, "since": since})
        return int(cursor.fetchone()[0])


def _unrealised(agent_id: UUID) -> int:
    """Value less cost of the open positions at the last stored prices (a lock is held: Valkey is not asked)."""
    held = list(
        Position.objects.filter(agent_id=agent_id, closed_at=None).values_list(
            "token_id", "remaining_units", "decimals", "cost_lamports"
        )
    )
    prices = dict(LatestPrice.objects.filter(token__in=[row[0] for row in held]).values_list("token_id", "price_sol"))
    return sum(
        money.value_lamports(units, prices[mint], decimals) - cost
        for mint, units, decimals, cost in held
        if mint in prices
    )


def _free_sol(agent_id: UUID) -> int:
    wallet_ids = list(Assignment.objects.filter(agent_id=agent_id, ended_at=None).values_list("wallet_id", flat=True))
    return sum(balance.units for balance in sol_balances(wallet_ids).values())


def _lookback(protections: Protections) -> timedelta:
    minutes = [24 * 60]
    if protections.cooldown is not None:
        minutes.append(protections.cooldown.minutes)
    for setting in (protections.stop_loss_guard, protections.max_drawdown, protections.low_profit_token):
        if setting is not None:
            minutes.append(setting.lookback_minutes + setting.pause_minutes)
    return timedelta(minutes=max(minutes))
