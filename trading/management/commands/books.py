"""`manage.py books`: what the ledger amounts to; with `--check`, whether every invariant holds (exit 1 if not)."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from trading import books


class Command(BaseCommand):
    help = "Figures of the ledger; --check proves every invariant and exits 1 when one is broken."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="read every posting and fill")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        report = books.check(deep=options["check"])
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json()))
        else:
            self._print(report)
        if options["check"] and not report.balanced:
            sys.exit(1)

    def _print(self, report: books.BooksReport) -> None:
        for problem in report.problems:
            self.stdout.write(f"{problem.invariant}: {problem.subject} {problem.detail}")
        for name, figure in report.figures.items():
            self.stdout.write(f"{name:>20} {figure:>26,}")
        verdict = "the books balance" if report.balanced else f"{len(report.problems)} problems"
        self.stdout.write(f"{report.entries} entries, {verdict}")
