"""Wallets and the ledger, read-only: funds move through `wallets.services` only."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from wallets.models import AccountRow, Entry, Hold, PostingRow, Wallet


class ReadOnly:
    """Nobody adds, changes or deletes here, whatever their permissions."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


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
    show_full_result_count = False
    inlines = (PostingInline,)


@admin.register(Hold)
class HoldAdmin(ReadOnly, ModelAdmin):
    list_display = ("order_id", "wallet", "asset", "amount", "at")
    list_select_related = ("wallet",)
    search_fields = ("=order_id", "wallet__address", "asset")
