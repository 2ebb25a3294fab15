"""Streams, events and alarms for people who operate the product: to read, never to edit."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from nexgent.api.read_only_admin import ReadOnly
from nexgent.events.models import Alarm, EventRow, Stream


@admin.register(Stream)
class StreamAdmin(ReadOnly, ModelAdmin):
    list_display = ("id", "seq")
    search_fields = ("id",)


@admin.register(EventRow)
class EventRowAdmin(ReadOnly, ModelAdmin):
    list_display = ("stream_id", "seq", "type", "at")
    list_filter = ("type",)
    search_fields = ("stream_id",)
    ordering = ("-at", "-seq")


@admin.register(Alarm)
class AlarmAdmin(ReadOnly, ModelAdmin):
    list_display = ("code", "subject", "since", "cleared_at", "workspace_id")
    list_filter = ("code", ("cleared_at", admin.EmptyFieldListFilter))
    search_fields = ("code", "subject")
    ordering = ("-since",)
