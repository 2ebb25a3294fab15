"""Signals and what became of them: history, read-only. Hiding a signal is an action that calls the service."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from nexgent.api.read_only_admin import ReadOnly
from nexgent.errors import Refusal
from signals import services
from signals.models import DuplicateGuard, Signal, SignalRevision, VerdictRow


class VerdictInline(ReadOnly, TabularInline):
    model = VerdictRow
    fields = ("agent", "reasons", "order", "at")
    ordering = ("agent_id",)


class RevisionInline(ReadOnly, TabularInline):
    model = SignalRevision
    fields = ("number", "content", "replaced_at")
    ordering = ("-number",)


@admin.register(Signal)
class SignalAdmin(ReadOnly, ModelAdmin):
    list_display = ("id", "received_at", "signal_type", "signal_strength", "side", "symbol", "token_address", "source")
    list_filter = ("side", "signal_strength", "dry_run", ("drained_at", admin.EmptyFieldListFilter))
    search_fields = ("=id", "=token_address", "symbol", "signal_type", "source", "external_ref")
    inlines = (VerdictInline, RevisionInline)
    actions = ("hide",)

    def has_hide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("signals.change_signal")

    @admin.action(description="Hide from all lists", permissions=["hide"])
    def hide(self, request: HttpRequest, queryset: QuerySet[Signal]) -> None:
        for signal in queryset.order_by("id"):
            try:
                services.signal_hide(workspace_id=signal.workspace_id, signal_id=signal.id)
            except Refusal as refusal:
                self.message_user(request, f"{signal.id}: {refusal.message}", messages.WARNING)
            else:
                self.message_user(request, f"{signal.id}: hidden", messages.SUCCESS)


@admin.register(VerdictRow)
class VerdictAdmin(ReadOnly, ModelAdmin):
    list_display = ("signal_id", "agent", "reasons", "order_id", "at")
    list_filter = ("at", ("order", admin.EmptyFieldListFilter))
    list_select_related = ("agent",)
    search_fields = ("=signal__id", "agent__name", "=agent__id", "=order__id")


@admin.register(SignalRevision)
class SignalRevisionAdmin(ReadOnly, ModelAdmin):
    list_display = ("signal", "number", "replaced_at")
    list_filter = ("replaced_at",)
    search_fields = ("=signal__id",)


@admin.register(DuplicateGuard)
class DuplicateGuardAdmin(ReadOnly, ModelAdmin):
    list_display = ("key", "signal_id", "at")
    list_filter = ("at",)
    search_fields = ("=key", "=signal_id")
