"""The last check of the books, to look at."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from nexgent.api.read_only_admin import ReadOnly
from nexgent.runtime.models import BooksCheck


@admin.register(BooksCheck)
class BooksCheckAdmin(ReadOnly, ModelAdmin):
    list_display = ("at", "is_balanced", "took_ms", "problems")
