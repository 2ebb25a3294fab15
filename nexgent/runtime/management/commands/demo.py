"""`manage.py demo`: `up` with the demo market and demo agents, which `settings.DEMO_PREPARATION` makes."""

import os
from typing import Any

from nexgent.runtime.management.commands.up import Command as Up


class Command(Up):
    help = "Starts everything, with simulated agents trading on a demo market."

    def handle(self, *args: Any, **options: Any) -> None:
        os.environ["NEXGENT_DEMO"] = "1"
        super().handle(*args, **options)
