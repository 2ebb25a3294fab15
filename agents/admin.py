"""Agents, their configurations and assignments: read-only; switches move by actions that call the services."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from agents import services
from agents.models import Agent, Assignment, ConfigVersion
from nexgent.api.read_only_admin import ReadOnly
from nexgent.errors import Refusal


class ConfigVersionInline(ReadOnly, TabularInline):
    model = ConfigVersion
    fk_name = "agent"
    fields = ("number", "author", "created_at")
    ordering = ("-number",)
    show_change_link = True


class AssignmentInline(ReadOnly, TabularInline):
    model = Assignment
    fields = ("wallet", "mode", "started_at", "ended_at")
    ordering = ("-started_at",)


@admin.register(Agent)
class AgentAdmin(ReadOnly, ModelAdmin):
    list_display = (
        "name",
        "workspace",
        "mode",
        "profile",
        "entries_simulation",
        "entries_live",
        "exits_simulation",
        "exits_live",
        "policy_version",
        "archived_at",
    )
    list_filter = ("mode", "profile", "entries_simulation", "entries_live", ("archived_at", admin.EmptyFieldListFilter))
    list_select_related = ("workspace",)
    search_fields = ("name", "=id", "workspace__name", "user__email")
    inlines = (ConfigVersionInline, AssignmentInline)
    actions = ("pause_entries", "resume_entries", "stop_exits", "resume_exits")

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("agents.change_agent")

    @admin.action(description="Pause entries (both modes)", permissions=["switch"])
    def pause_entries(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        self._switch(request, queryset, {"entries_simulation": False, "entries_live": False})

    @admin.action(description="Resume entries (simulation; live ones agent by agent)", permissions=["switch"])
    def resume_entries(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        self._switch(request, queryset, {"entries_simulation": True})

    @admin.action(description="Stop exits: stops will NOT fire (both modes)", permissions=["switch"])
    def stop_exits(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        self._switch(request, queryset, {"exits_simulation": False, "exits_live": False})

    @admin.action(description="Resume exits (both modes)", permissions=["switch"])
    def resume_exits(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        self._switch(request, queryset, {"exits_simulation": True, "exits_live": True})

    def _switch(self, request: HttpRequest, queryset: QuerySet[Agent], changes: dict[str, bool]) -> None:
        for agent in queryset.order_by("id"):
            try:
                services.agent_update(agent_id=agent.id, changes=changes)
            except Refusal as refusal:
                self.message_user(request, f"{agent.name}: {refusal.message}", messages.WARNING)
            else:
                self.message_user(request, f"{agent.name}: switched", messages.SUCCESS)


@admin.register(ConfigVersion)
class ConfigVersionAdmin(ReadOnly, ModelAdmin):
    list_display = ("agent", "number", "author", "created_at")
    list_filter = ("created_at",)
    list_select_related = ("agent",)
    search_fields = ("agent__name", "=agent__id", "author", "=id")


@admin.register(Assignment)
class AssignmentAdmin(ReadOnly, ModelAdmin):
    list_display = ("agent", "wallet", "mode", "started_at", "ended_at")
    list_filter = ("mode", ("ended_at", admin.EmptyFieldListFilter))
    list_select_related = ("agent", "wallet")
    search_fields = ("agent__name", "wallet__address", "=id")
