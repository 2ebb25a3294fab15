"""Wallets and the ledger, read-only: funds move through `wallets.services` only."""

from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from nexgent.api.read_only_admin import ReadOnly
from wallets.models import AccountRow, Entry, Hold, PostingRow, Wallet


class PostingInline(ReadOnly, TabularInline):
    model = PostingRow
    fields = ("line", "kind", "asset", "amount")
    ordering = ("line",)


@admin.register(Wallet)
class WalletAdmin(ReadOnly, ModelAdmin):
    list_display = ("address", "kind", "workspace", "epoch", "created_at")
    list_filter = ("kind",)
    list_select_related = ("workspace",)
    search_fields = ("address", "workspace__name")


@admin.register(AccountRow)
class AccountAdmin(ReadOnly, ModelAdmin):
    list_display = ("wallet", "kind", "asset", "balance", "held")
    list_filter = ("kind",)
    list_select_related = ("wallet",)
    search_fields = ("wallet__address", "asset")


@admin.register(Entry)
class EntryAdmin(ReadOnly, ModelAdmin):
    list_display = ("id", "at", "kind", "wallet", "order_id", "author", "reason", "epoch")
    list_filter = ("kind",)
    list_select_related = ("wallet",)
    search_fields = ("=id", "=order_id", "wallet__address", "author", "reason")
    inlines = (PostingInline,)


@admin.register(Hold)
class HoldAdmin(ReadOnly, ModelAdmin):
    list_display = ("order_id", "wallet", "asset", "amount", "at")
    list_select_related = ("wallet",)
    search_fields = ("=order_id", "wallet__address", "asset")
