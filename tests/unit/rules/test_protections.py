"""Protections: from what happened to locks, each with its start and end."""

from datetime import timedelta
from decimal import Decimal

from tests.unit.rules.samples import NOW
from trading.rules import protections
from trading.rules.policy import Cooldown, DailyLoss, LowProfitToken, MaxDrawdown, Protections, StopLossGuard
from trading.rules.protections import History, Lock, PastTrade, ProtectionKind


def past(mint: str, minutes_ago: int, profit: int, reason: str = "stop_loss") -> PastTrade:
    return PastTrade(mint, NOW - timedelta(minutes=minutes_ago), profit, 100, reason)


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def test_nothing_configured_locks_nothing() -> None:
    assert protections.evaluate(History([past("A", 0, -100)]), Protections(), NOW) == []


def test_cooldown_leaves_a_sold_token_alone() -> None:
    history = History([past("A", 30, 5), past("A", 4, 5), past("B", 5, 5)])

    locks = protections.evaluate(history, Protections(cooldown=Cooldown(5)), NOW)

    assert [(lock.mint, lock.starts_at, lock.ends_at) for lock in locks] == [("A", NOW - minutes(4), NOW + minutes(1))]
    assert protections.blocking(locks, "A") == locks[0]
    assert protections.blocking(locks, "B") is None


def test_stop_loss_guard_counts_losing_stops_only() -> None:
    guard = Protections(stop_loss_guard=StopLossGuard(2, 60, 30))
    losing = [past("A", 50, -1), past("B", 10, -1)]
    harmless = [past("C", 5, 3), past("D", 5, -3, "manual"), past("E", 200, -1)]

    assert protections.evaluate(History([*losing[:1], *harmless]), guard, NOW) == []
    locks = protections.evaluate(History([*losing, *harmless]), guard, NOW)
    assert [(lock.mint, lock.starts_at, lock.ends_at) for lock in locks] == [
        (None, NOW - minutes(10), NOW + minutes(20))
    ]


def test_stop_loss_guard_per_token_locks_the_token_only() -> None:
    guard = Protections(stop_loss_guard=StopLossGuard(2, 60, 30, per_token=True))

    locks = protections.evaluate(History([past("A", 9, -1), past("A", 8, -1), past("B", 7, -1)]), guard, NOW)

    assert [lock.mint for lock in locks] == ["A"]


def test_max_drawdown_of_realised_equity() -> None:
    # equity went 1,000 → 1,100 → 880: 20 % below its peak
    history = History([past("A", 20, 100), past("B", 10, -220)], equity_lamports=880)

    at = protections.evaluate(history, Protections(max_drawdown=MaxDrawdown(Decimal(20), 60, 15)), NOW)
    above = protections.evaluate(history, Protections(max_drawdown=MaxDrawdown(Decimal("20.01"), 60, 15)), NOW)

    assert at == [
        Lock(
            ProtectionKind.MAX_DRAWDOWN,
            None,
            "realised equity fell 20.00 % within 60 min",
            NOW - minutes(10),
            NOW + minutes(5),
        )
    ]
    assert above == []


def test_low_profit_token_needs_its_number_of_trades() -> None:
    setting = Protections(low_profit_token=LowProfitToken(Decimal(1), 2, 60, 30))

    assert protections.evaluate(History([past("A", 5, -50)]), setting, NOW) == []
    assert protections.evaluate(History([past("A", 5, 1), past("A", 4, 1)]), setting, NOW) == []
    locks = protections.evaluate(History([past("A", 5, 1), past("A", 4, 0)]), setting, NOW)
    assert [(lock.kind, lock.mint) for lock in locks] == [(ProtectionKind.LOW_PROFIT_TOKEN, "A")]


def test_daily_loss_pauses_until_midnight_utc() -> None:
    now = NOW + timedelta(hours=13)
    setting = Protections(daily_loss=DailyLoss(100))

    assert protections.evaluate(History([], realised_today_lamports=-60, unrealised_lamports=-39), setting, now) == []
    locks = protections.evaluate(History([], realised_today_lamports=-60, unrealised_lamports=-40), setting, now)
    assert [(lock.starts_at, lock.ends_at) for lock in locks] == [(NOW, NOW + timedelta(days=1))]


def test_a_lock_is_the_same_whenever_it_is_looked_at_and_ends() -> None:
    history = History([past("A", 10, -1), past("B", 9, -1)])
    guard = Protections(stop_loss_guard=StopLossGuard(2, 60, 30))

    first = protections.evaluate(history, guard, NOW)
    later = protections.evaluate(history, guard, NOW + minutes(20))
    after = protections.evaluate(history, guard, NOW + minutes(21))

    assert first == later
    assert after == []
