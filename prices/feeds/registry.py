"""Feeds by name, made from the settings. A new source is a class with the `Feed` methods and one line here."""

from collections.abc import Callable
from functools import cache as once

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from prices.budget import Budget
from prices.feeds.chain import Chain
from prices.feeds.dexscreener import DexScreenerFeed
from prices.feeds.jupiter import JupiterFeed
from prices.feeds.protocol import Feed
from prices.feeds.provider import Provider
from prices.feeds.pyth import NAME as PYTH
from prices.feeds.synthetic import SyntheticFeed
from prices.poller import INTERVAL_SECONDS

SOLANA_RATE = 120
JUPITER_KEYLESS_RATE = 30
"""Calls per minute that Jupiter allows without a key."""


@once
def budget(provider: str) -> Budget:
    """The one bucket of a provider in this process; other calls to the same provider (venues) spend from it too."""
    per_minute = int(getattr(settings, f"{provider.upper()}_RATE"))
    if provider == "jupiter" and not settings.JUPITER_API_KEY:
        per_minute = min(per_minute, JUPITER_KEYLESS_RATE)
    return Budget(provider, per_minute)


ROUNDS_SHARE = 0.8
"""Of a budget that rounds may use up; the rest is for tokens that somebody asks about between them."""


def pace_seconds() -> float:
    """The shortest time between two rounds that the first provider's budget bears for long; 0 when it has none."""
    first = settings.PRICE_FEEDS[0] if settings.PRICE_FEEDS else ""
    if first not in ("jupiter", "dexscreener"):
        return 0.0
    pace = 1 / (ROUNDS_SHARE * budget(first).refill_per_second)
    return pace if pace > INTERVAL_SECONDS else 0.0


def jupiter() -> Feed:
    headers = {"x-api-key": settings.JUPITER_API_KEY} if settings.JUPITER_API_KEY else {}
    return JupiterFeed(Provider("jupiter", url=settings.JUPITER_API_URL, budget=budget("jupiter"), headers=headers))


def dexscreener() -> Feed:
    return DexScreenerFeed(Provider("dexscreener", url=settings.DEXSCREENER_API_URL, budget=budget("dexscreener")))


def synthetic() -> Feed:
    return SyntheticFeed(seed=settings.SYNTHETIC_SEED, is_under_way=settings.DEMO_MARKET == "synthetic")


def pyth() -> Provider:
    """The provider behind SOL/USD; without a key Pyth refuses, and the price feed's own SOL price serves."""
    headers = {"Authorization": f"Bearer {settings.PYTH_API_KEY}"} if settings.PYTH_API_KEY else {}
    return Provider(PYTH, url=settings.PYTH_API_URL, budget=budget(PYTH), headers=headers)


@once
def chain() -> Chain:
    """The chain's own word on tokens, from SOLANA_RPC_URL."""
    budget = Budget("solana", SOLANA_RATE)
    return Chain([Provider("solana", url=url, budget=budget) for url in settings.SOLANA_RPC_URLS])


FEEDS: dict[str, Callable[[], Feed]] = {"jupiter": jupiter, "dexscreener": dexscreener, "synthetic": synthetic}


def configured() -> list[Feed]:
    """The feeds of PRICE_FEEDS in their order. Raises ImproperlyConfigured for an unknown name."""
    unknown = [name for name in settings.PRICE_FEEDS if name not in FEEDS]
    if unknown:
        raise ImproperlyConfigured(f"PRICE_FEEDS names {unknown[0]}; known are {', '.join(FEEDS)}")
    return [FEEDS[name]() for name in settings.PRICE_FEEDS]


@once
def shared() -> list[Feed]:
    """The feeds of a process that polls nothing but asks now and then (facts of a token)."""
    return configured()


def forget() -> None:
    """Make feeds and buckets anew at the next use (settings changed)."""
    budget.cache_clear()
    shared.cache_clear()
    chain.cache_clear()
