"""Protections: what happened lately decides whether an agent may enter now. They never stop an exit.

Each protection is one function from the same facts to locks. A lock is named by (kind, mint, starts_at): the moment of
the trade that caused it, so that evaluating again finds the same lock, and one that a person lifted stays lifted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from nexgent.money import exact
from trading.rules.gain import HUNDRED
from trading.rules.policy import Cooldown, DailyLoss, LowProfitToken, MaxDrawdown, Protections, StopLossGuard


class ProtectionKind(StrEnum):
    COOLDOWN = "cooldown"
    STOP_LOSS_GUARD = "stop_loss_guard"
    MAX_DRAWDOWN = "max_drawdown"
    LOW_PROFIT_TOKEN = "low_profit_token"  # noqa: S105
    DAILY_LOSS = "daily_loss"


@dataclass(frozen=True, slots=True)
class PastTrade:
    """One closed position of the agent."""

    mint: str
    closed_at: datetime
    profit_lamports: int
    cost_lamports: int
    close_reason: str


@dataclass(frozen=True, slots=True)
class History:
    """What the protections look at. `trades` reach back at least as far as the longest lookback, in any order.

    `equity_lamports` is what the agent is worth now, counted at cost (balances, deposits, cost of open positions).
    The two figures of the UTC day are realised and unrealised P/L.
    """

    trades: Sequence[PastTrade]
    equity_lamports: int = 0
    realised_today_lamports: int = 0
    unrealised_lamports: int = 0


@dataclass(frozen=True, slots=True)
class Lock:
    """No entries and no DCA from `starts_at` until `ends_at`; for one token, or for all when `mint` is None."""

    kind: ProtectionKind
    mint: str | None
    reason: str
    starts_at: datetime
    ends_at: datetime


@exact
def evaluate(history: History, protections: Protections, now: datetime) -> list[Lock]:
    """All locks that hold at `now`, in the order of the kinds, then by token."""
    trades = sorted((trade for trade in history.trades if trade.closed_at <= now), key=lambda trade: trade.closed_at)
    locks: list[Lock] = []
    if protections.cooldown is not None:
        locks += _cooldown(trades, protections.cooldown)
    if protections.stop_loss_guard is not None:
        locks += _stop_loss_guard(trades, protections.stop_loss_guard)
    if protections.max_drawdown is not None:
        locks += _max_drawdown(trades, history.equity_lamports, protections.max_drawdown)
    if protections.low_profit_token is not None:
        locks += _low_profit_token(trades, protections.low_profit_token)
    if protections.daily_loss is not None:
        locks += _daily_loss(history, protections.daily_loss, now)
    return [lock for lock in locks if lock.starts_at <= now < lock.ends_at]


def blocking(locks: Iterable[Lock], mint: str) -> Lock | None:
    """The first lock that stops an entry into `mint`; None when none does."""
    return next((lock for lock in locks if lock.mint is None or lock.mint == mint), None)


def _by_mint(trades: Sequence[PastTrade]) -> dict[str, list[PastTrade]]:
    grouped: dict[str, list[PastTrade]] = {}
    for trade in trades:
        grouped.setdefault(trade.mint, []).append(trade)
    return dict(sorted(grouped.items()))


def _window(trades: Sequence[PastTrade], minutes: int) -> list[PastTrade]:
    """The trades closed in the lookback that ends with the last of `trades`."""
    start = trades[-1].closed_at - timedelta(minutes=minutes)
    return [trade for trade in trades if trade.closed_at > start]


def _cooldown(trades: Sequence[PastTrade], setting: Cooldown) -> list[Lock]:
    """A token just sold is left alone for a while."""
    locks = []
    for mint, own in _by_mint(trades).items():
        at = own[-1].closed_at
        end = at + timedelta(minutes=setting.minutes)
        locks.append(Lock(ProtectionKind.COOLDOWN, mint, f"sold less than {setting.minutes} min ago", at, end))
    return locks


def _stop_loss_guard(trades: Sequence[PastTrade], setting: StopLossGuard) -> list[Lock]:
    """Too many losing stops in the lookback: all tokens, or the token, pause from the last of them on."""
    stops = [trade for trade in trades if trade.close_reason == "stop_loss" and trade.profit_lamports < 0]
    groups: list[tuple[str | None, list[PastTrade]]] = [(None, stops)] if stops else []
    if setting.per_token:
        groups = list(_by_mint(stops).items())
    locks = []
    for mint, own in groups:
        counted = len(_window(own, setting.lookback_minutes))
        if counted >= setting.trades:
            at = own[-1].closed_at
            reason = f"{counted} stops at a loss within {setting.lookback_minutes} min"
            end = at + timedelta(minutes=setting.pause_minutes)
            locks.append(Lock(ProtectionKind.STOP_LOSS_GUARD, mint, reason, at, end))
    return locks


def _max_drawdown(trades: Sequence[PastTrade], equity_lamports: int, setting: MaxDrawdown) -> list[Lock]:
    """Realised equity fell by at least the percentage from its peak within the lookback: everything pauses."""
    if not trades:
        return []
    window = _window(trades, setting.lookback_minutes)
    value = peak = equity_lamports - sum(trade.profit_lamports for trade in window)
    worst, worst_at = Decimal(0), trades[-1].closed_at
    for trade in window:
        value += trade.profit_lamports
        peak = max(peak, value)
        if peak > 0 and (fall := Decimal(peak - value) * HUNDRED / peak) > worst:
            worst, worst_at = fall, trade.closed_at
    if worst <= 0 or worst < setting.percent:
        return []
    reason = f"realised equity fell {worst:.2f} % within {setting.lookback_minutes} min"
    end = worst_at + timedelta(minutes=setting.pause_minutes)
    return [Lock(ProtectionKind.MAX_DRAWDOWN, None, reason, worst_at, end)]


def _low_profit_token(trades: Sequence[PastTrade], setting: LowProfitToken) -> list[Lock]:
    """A token whose trades in the lookback earned, together, less than the percentage of their cost pauses."""
    locks = []
    for mint, own in _by_mint(trades).items():
        window = _window(own, setting.lookback_minutes)
        cost = sum(trade.cost_lamports for trade in window)
        if len(window) < setting.trades or cost <= 0:
            continue
        earned = Decimal(sum(trade.profit_lamports for trade in window)) * HUNDRED / cost
        if earned < setting.percent:
            at = own[-1].closed_at
            reason = f"{len(window)} trades earned {earned:.2f} % within {setting.lookback_minutes} min"
            end = at + timedelta(minutes=setting.pause_minutes)
            locks.append(Lock(ProtectionKind.LOW_PROFIT_TOKEN, mint, reason, at, end))
    return locks


def _daily_loss(history: History, setting: DailyLoss, now: datetime) -> list[Lock]:
    """The UTC day lost the limit or more, realised plus unrealised: everything pauses until midnight."""
    if history.realised_today_lamports + history.unrealised_lamports > -setting.lamports:
        return []
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    reason = "the day's loss has reached its limit"
    return [Lock(ProtectionKind.DAILY_LOSS, None, reason, midnight, midnight + timedelta(days=1))]
