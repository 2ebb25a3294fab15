"""The audit trail to look at: nobody changes it here, and the database refuses it everywhere."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from nexgent.accounts.models import AgentGrant, AuditEntry
from nexgent.api.read_only_admin import ReadOnly


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, ModelAdmin):
    list_display = ("at", "actor", "actor_kind", "action", "kind", "object_id", "address", "client", "route")
    list_filter = ("kind", "action", "actor_kind", "at")
    search_fields = ("=actor", "=object_id", "=request_id", "=address")
    ordering = ("-id",)


@admin.register(AgentGrant)
class AgentGrantAdmin(ReadOnly, ModelAdmin):
    list_display = ("membership", "agent")
    list_select_related = ("membership__user", "agent")
    search_fields = ("membership__user__email", "agent__name", "=agent__id")
