"""`manage.py demo`: `up` with the demo market and demo agents, which `settings.DEMO_PREPARATION` makes."""

from nexgent.runtime.management.commands.up import Command as Up


class Command(Up):
    help = "Starts everything, with simulated agents trading on a demo market."
    name = "demo"
