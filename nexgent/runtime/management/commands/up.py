"""`manage.py up`, for Django's list of commands: `manage.py` itself starts `nexgent.runtime.up` without Django."""

from typing import Any

from django.core.management.base import BaseCommand

from nexgent.runtime import up


class Command(BaseCommand):
    help = "Starts PostgreSQL, Valkey and every process of the product, and keeps them running."
    requires_system_checks: list[str] = []
    name = "up"

    def handle(self, *_args: Any, **_options: Any) -> None:
        up.main(self.name)
