"""`manage.py prepare`: what a database needs before the processes start. Part of `manage.py up`; safe to repeat."""

import os
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils.module_loading import import_string


class Command(BaseCommand):
    help = "Applies migrations and makes the first administrator; with NEXGENT_DEMO=1 also the demo's agents."
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        call_command("create_admin", if_none=True)
        if os.environ.get("NEXGENT_DEMO") and settings.DEMO_PREPARATION:
            import_string(settings.DEMO_PREPARATION)()
