"""The audit trail to look at: nobody changes it here, and the database refuses it everywhere.

What an entry holds is shown as the API shows it: names of the API, no hash, of a webhook's address scheme and host.
"""

import json
from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from nexgent.accounts.audit_wire import audit_wire
from nexgent.accounts.models import AgentGrant, AuditEntry
from nexgent.api.read_only_admin import ReadOnly


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, ModelAdmin):
    list_display = ("at", "actor", "actor_kind", "action", "kind", "object_id", "address", "client", "route")
    list_filter = ("kind", "action", "actor_kind", "at")
    search_fields = ("=actor", "=object_id", "=request_id", "=address")
    ordering = ("-id",)
    exclude = ("before", "after")
    readonly_fields = ("shown_before", "shown_after", "shown_changes")

    @admin.display(description="before")
    def shown_before(self, entry: AuditEntry) -> str:
        return _shown(entry, "before")

    @admin.display(description="after")
    def shown_after(self, entry: AuditEntry) -> str:
        return _shown(entry, "after")

    @admin.display(description="changes")
    def shown_changes(self, entry: AuditEntry) -> str:
        return _shown(entry, "changes")


def _shown(entry: AuditEntry, part: str) -> str:
    told: dict[str, Any] = audit_wire(entry)
    return "-" if not told[part] else format_html("<pre>{}</pre>", json.dumps(told[part], indent=2, ensure_ascii=False))


@admin.register(AgentGrant)
class AgentGrantAdmin(ReadOnly, ModelAdmin):
    list_display = ("membership", "agent")
    list_select_related = ("membership__user", "agent")
    search_fields = ("membership__user__email", "agent__name", "=agent__id")
