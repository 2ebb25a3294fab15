"""Admin of what endpoints share: kept answers, to look at."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from nexgent.api.models import IdempotentAnswer
from nexgent.api.read_only_admin import ReadOnly


@admin.register(IdempotentAnswer)
class IdempotentAnswerAdmin(ReadOnly, ModelAdmin):
    list_display = ("principal", "route", "key", "status", "created_at")
    list_filter = ("status", "created_at")
    search_fields = ("principal", "route", "key")
