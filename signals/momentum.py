"""A small built-in source of signals, for the demo: what rises minute after minute is reported to its workspace.

The decision is a pure function of one-minute candles. The service reads them, and tells each rise once: its reference
names mint and minute, and the duplicate rule of the signals keeps two runs at once from telling it twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.conf import settings

from agents.models import Agent, Mode
from nexgent import clock
from nexgent.accounts.models import Membership, Role
from nexgent.errors import Refusal
from nexgent.money import EXACT
from prices import services as prices
from prices.feeds import registry
from prices.models import Candle, Token
from signals import services
from signals.models import Signal

SOURCE = "momentum"
SIGNAL_TYPE = "MOMENTUM"
MINUTE = timedelta(minutes=1)
LOOK_BACK = 15
"""Minutes that are looked at."""
RISING = 2
"""So many closed candles in a row must rise."""
CALM_MIN = 3
"""So many candles before them say what is usual."""
RISE_PERCENT_MIN = Decimal("0.2")
USUAL_TIMES_MIN = Decimal("1.5")
STRENGTHS = (Decimal(5), Decimal(3), Decimal(2), Decimal("1.5"))
"""Rise over the least rise from which a signal has strength 5, 4, 3, 2; below them 1."""
RECENT_SIGNALS = 500


@dataclass(frozen=True, slots=True)
class Bar:
    """One closed minute, prices in SOL per whole token."""

    start: datetime
    open: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True)
class Momentum:
    """A rise worth telling: in percent over its candles, strength 1 to 5, the minute that completed it."""

    rise_percent: Decimal
    strength: int
    minute: datetime


def decide(bars: Sequence[Bar], now: datetime) -> Momentum | None:
    """Whether the last closed candles rise, one after the other and more than is usual for the token.

    `bars` are closed and in order of time. The rise must be 0.2 % and 1.5 times what as many candles usually move; the
    last candle must be the minute before `now`, so that a silent feed tells nothing.
    """
    if len(bars) < RISING + CALM_MIN:
        return None
    rising, before = bars[-RISING:], bars[:-RISING]
    last = rising[-1].start
    if not last + MINUTE <= now < last + 2 * MINUTE or rising[0].start != last - (RISING - 1) * MINUTE:
        return None
    if any(bar.close <= bar.open for bar in rising):
        return None
    usual = EXACT.divide(sum((abs(_percent(bar)) for bar in before), Decimal(0)), Decimal(len(before)))
    least = max(RISE_PERCENT_MIN, usual * RISING * USUAL_TIMES_MIN)
    rise = _change(rising[0].open, rising[-1].close)
    if rise < least:
        return None
    times = EXACT.divide(rise, least)
    strength = next((5 - place for place, bound in enumerate(STRENGTHS) if times >= bound), 1)
    return Momentum(rise, strength, last)


def _percent(bar: Bar) -> Decimal:
    return _change(bar.open, bar.close)


def _change(before: Decimal, after: Decimal) -> Decimal:
    return EXACT.divide((after - before) * 100, before)


def run() -> list[Signal]:
    """Tell the demo's workspace what rises; nothing outside a demo.

    Nothing either while the workspace has an agent that trades live: a toy source must never spend real money.
    """
    if not settings.DEMO_MARKET or not settings.DEMO_WORKSPACE_ID:
        return []
    workspace_id = UUID(settings.DEMO_WORKSPACE_ID)
    if Agent.objects.filter(workspace_id=workspace_id, mode=Mode.LIVE, archived_at=None).exists():
        return []
    mints = tokens()
    prices.watch(mints, "signals")
    return emit(workspace_id=workspace_id, mints=mints)


def tokens() -> list[str]:
    """What the demo looks at: the made-up tokens, or the well-known ones of `DEMO_TOKENS`."""
    offered = [mint for feed in registry.shared() for mint in feed.mints()]
    return offered or list(settings.DEMO_TOKENS)


def emit(*, workspace_id: UUID, mints: Sequence[str]) -> list[Signal]:
    """Accept a signal for every token of `mints` that rises now; returns those that are new."""
    now = clock.now()
    owner = Membership.objects.filter(workspace_id=workspace_id, role=Role.OWNER).order_by("id").first()
    if owner is None:
        return []
    symbols = dict(Token.objects.filter(mint__in=mints).values_list("mint", "symbol"))
    told = set(
        Signal.objects.filter(workspace_id=workspace_id)
        .order_by("-id")
        .values_list("external_ref", flat=True)[:RECENT_SIGNALS]
    )
    accepted = []
    for mint, bars in _bars(mints, now).items():
        found = decide(bars, now)
        if found is None or reference(mint, found.minute) in told:
            continue
        body = {
            "tokenAddress": mint,
            "symbol": symbols.get(mint, ""),
            "signalType": SIGNAL_TYPE,
            "signalStrength": found.strength,
            "side": "buy",
            "source": SOURCE,
            "activationReason": f"Up {found.rise_percent:.2f} % in {RISING} minutes",
            "externalRef": reference(mint, found.minute),
        }
        try:
            accepted.append(
                services.accept(workspace_id=workspace_id, user_id=owner.user_id, data=body, received_at=now)
            )
        except Refusal as refusal:
            if refusal.code != "SIGNAL_DUPLICATE":
                raise
    return accepted


def reference(mint: str, minute: datetime) -> str:
    """The `externalRef` of a rise: one per token and minute."""
    return f"{SOURCE}:{mint}:{clock.to_ms(minute)}"


def _bars(mints: Sequence[str], now: datetime) -> dict[str, list[Bar]]:
    """The closed candles of the last minutes per mint, in order of time; one query."""
    rows = Candle.objects.filter(
        mint__in=mints, seconds=60, start__gte=now - LOOK_BACK * MINUTE, start__lte=now - MINUTE
    ).order_by("mint", "start")
    bars: dict[str, list[Bar]] = {}
    for mint, start, opened, closed in rows.values_list("mint", "start", "open", "close"):
        bars.setdefault(mint, []).append(Bar(start, opened, closed))
    return bars
