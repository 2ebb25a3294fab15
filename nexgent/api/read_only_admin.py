"""Pages of the admin that show and never change: history is made by services only, whoever looks at it.

A mixin for pages and inlines alike, in the lowest layer that knows requests, so that every app uses this one.
"""

from django.db.models import Model
from django.http import HttpRequest


class ReadOnly:
    """Nobody adds, changes or deletes here, whatever their permissions. Stands before the page's own class."""

    show_full_result_count = False
    """Lists of history are long; how many rows there are besides those found is not worth counting them."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
