"""Streams, events and alarms for people who operate the product: to read, never to edit."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from nexgent.events.models import Alarm, EventRow, Stream


class ReadOnly(ModelAdmin):
    """A list and its details; facts are made by services only."""

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Stream)
class StreamAdmin(ReadOnly):
    list_display = ("id", "seq")
    search_fields = ("id",)


@admin.register(EventRow)
class EventRowAdmin(ReadOnly):
    list_display = ("stream_id", "seq", "type", "at")
    list_filter = ("type",)
    search_fields = ("stream_id",)
    ordering = ("-at", "-seq")
    show_full_result_count = False


@admin.register(Alarm)
class AlarmAdmin(ReadOnly):
    list_display = ("code", "subject", "since", "cleared_at", "workspace_id")
    list_filter = ("code", ("cleared_at", admin.EmptyFieldListFilter))
    search_fields = ("code", "subject")
    ordering = ("-since",)
