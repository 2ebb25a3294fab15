"""Tokens and prices in the admin: to look at. Prices come from feeds only; of a token, its display text may be set."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from nexgent.api.read_only_admin import ReadOnly
from prices.models import Candle, LatestPrice, Tick, Token


@admin.register(Token)
class TokenAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ("symbol", "name", "mint", "decimals", "facts_at")
    search_fields = ("mint", "symbol", "name")
    readonly_fields = ("mint", "program", "decimals", "facts", "facts_at", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(LatestPrice)
class LatestPriceAdmin(ReadOnly, ModelAdmin):
    list_display = ("token_id", "price_sol", "price_usd", "liquidity_usd", "source", "observed_at")
    search_fields = ("token__mint", "token__symbol")
    list_filter = ("source",)


@admin.register(Tick)
class TickAdmin(ReadOnly, ModelAdmin):
    list_display = ("mint", "at", "price_sol", "price_usd", "source")
    search_fields = ("mint__exact",)
    list_filter = ("source",)
    ordering = ("-at",)


@admin.register(Candle)
class CandleAdmin(ReadOnly, ModelAdmin):
    list_display = ("mint", "seconds", "start", "open", "high", "low", "close", "ticks")
    search_fields = ("mint__exact",)
    list_filter = ("seconds",)
    ordering = ("-start",)
