"""`manage.py feeds`: how the price feeds do, as the process that runs them last said, and how old its word is."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from nexgent import clock
from prices import selectors


class Command(BaseCommand):
    help = "Show the state of the price feeds."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="machine-readable")

    def handle(self, *_: Any, as_json: bool, **__: Any) -> None:
        state = selectors.feeds(now=clock.now())
        if as_json:
            self.stdout.write(json.dumps(state))
            return
        self.stdout.write(
            f"order: {', '.join(state['order']) or 'none'}; running: {'yes' if state['running'] else 'no'}"
        )
        for feed in state["feeds"]:
            trouble = f", last failure: {feed['lastFailure']}" if feed["lastFailure"] else ""
            self.stdout.write(f"{feed['name']}: {feed['state']}{trouble}")
        sol = state["solUsd"]
        self.stdout.write(f"SOL/USD: {sol['price']} ({sol['source']})" if sol else "SOL/USD: unknown")
        self.stdout.write(f"watched prices: {state['prices']['known']}, fresh: {state['prices']['fresh']}")
