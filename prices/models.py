"""Tokens and what they cost: the latest price with source and age, ticks, and candles."""

from django.db import models

from nexgent.rows import PriceField


class Token(models.Model):
    """A mint: the identity of a token. The symbol is display text."""

    mint = models.CharField(max_length=44, primary_key=True)
    program = models.CharField(max_length=44, blank=True)
    decimals = models.SmallIntegerField(default=9)
    symbol = models.CharField(max_length=50, blank=True)
    name = models.CharField(max_length=200, blank=True)
    facts = models.JSONField(default=dict, blank=True)
    """What feeds tell of it: marketCapUsd, liquidityUsd, holderCount, mintAuthorityDisabled, freezeAuthorityDisabled,
    isFlagged, createdAt. Unknown facts are absent."""
    facts_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)


class LatestPrice(models.Model):
    """The newest known price of a mint; moves forward only (by `observed_at`)."""

    token = models.OneToOneField(Token, models.PROTECT, primary_key=True, db_column="mint")
    price_sol = PriceField()
    price_usd = PriceField(null=True)
    liquidity_usd = models.DecimalField(max_digits=30, decimal_places=8, null=True)
    source = models.CharField(max_length=20)
    observed_at = models.DateTimeField()


class Tick(models.Model):
    """One observed price of a mint. Kept 7 days."""

    id = models.BigAutoField(primary_key=True)
    mint = models.CharField(max_length=44)
    at = models.DateTimeField()
    price_sol = PriceField()
    price_usd = PriceField(null=True)
    source = models.CharField(max_length=20)

    class Meta:
        indexes = [
            models.Index(fields=["mint", "at"], name="tick_mint_at"),
            models.Index(fields=["at"], name="tick_at"),
        ]


class Candle(models.Model):
    """Open, high, low, close of a mint in SOL over one minute (90 days) or one hour (for ever)."""

    mint = models.CharField(max_length=44)
    seconds = models.IntegerField(default=60)
    start = models.DateTimeField()
    open = PriceField()
    high = PriceField()
    low = PriceField()
    close = PriceField()
    ticks = models.IntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mint", "seconds", "start"], name="candle_once")]
        indexes = [models.Index(fields=["start"], name="candle_start")]
