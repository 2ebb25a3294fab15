"""`manage.py replay`: a market tape through the rules, or through the whole engine, with the same result."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from nexgent.errors import NexgentError
from trading.replay import rules_loop
from trading.replay.plan import Plan


class Command(BaseCommand):
    help = "Replay a tape (candle or trade CSV, or the synthetic market) with a configuration."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tape", type=Path, help="candle or trade CSV, plain or gzip")
        parser.add_argument("--feed", choices=["synthetic"], help="instead of a tape")
        parser.add_argument("--config", type=Path, help="partial trading configuration, JSON in wire names")
        parser.add_argument("--profile", choices=["ideal", "realistic"], default="ideal")
        parser.add_argument("--through", choices=["rules", "engine"], default="rules")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--reentry", type=int, default=3600, help="seconds after a close until the next entry")
        parser.add_argument("--liquidity-sol", type=int, default=1000)
        parser.add_argument("--limit", type=int, help="candles or rows at most")
        parser.add_argument("--json", action="store_true")
        parser.add_argument(
            "--plans", type=Path, help="several runs: a JSON list of {tape, config, profile, limit, seed}"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["through"] == "engine" and not os.environ.get("NEXGENT_CLOCK"):
            self._in_scratch_system(options)
            return
        try:
            for plan in _plans(options):
                report = self._run(plan, options["through"])
                self.stdout.write(json.dumps(report) if options["json"] else _summary(report))
                self.stdout.flush()
        except (NexgentError, OSError, ValueError) as problem:
            raise CommandError(str(problem)) from problem

    def _run(self, plan: Plan, through: str) -> dict[str, Any]:
        if through == "rules":
            return rules_loop.run(plan).wire()
        from signals import replay

        if self._workers is None:
            self._workers = replay.workers()
            self._workers.__enter__()
        return replay.run(plan).wire()

    _workers: Any = None

    def execute(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute(*args, **options)
        finally:
            if self._workers is not None:
                self._workers.__exit__(None, None, None)

    def _in_scratch_system(self, options: dict[str, Any]) -> None:
        """Run the same command beside fresh servers, so that a replay never touches anybody's books."""
        command = [sys.executable, "-m", "nexgent.runtime.scratch", sys.executable, *sys.argv]
        seeds = {plan.seed for plan in _plans(options)}
        if len(seeds) != 1:
            raise CommandError("runs through the engine share one seed")
        code = subprocess.run(command, env=os.environ | {"ENGINE_SEED": str(seeds.pop())}, check=False).returncode  # noqa: S603
        if code:
            raise CommandError(f"replay failed with exit code {code}")


def _plans(options: dict[str, Any]) -> list[Plan]:
    if options["plans"] is not None:
        return [_plan(entry, options) for entry in json.loads(options["plans"].read_text())]
    if (options["tape"] is None) == (options["feed"] is None):
        raise CommandError("give either --tape or --feed")
    config = json.loads(options["config"].read_text()) if options["config"] else {}
    return [_plan({"tape": options["tape"], "config": config}, options)]


def _plan(entry: dict[str, Any], options: dict[str, Any]) -> Plan:
    tape = entry.get("tape")
    return Plan(
        tape=Path(tape) if tape else None,
        config=entry.get("config") or {},
        profile=entry.get("profile", options["profile"]),
        seed=entry.get("seed", options["seed"]),
        reentry_seconds=entry.get("reentry", options["reentry"]),
        liquidity_sol=entry.get("liquiditySol", options["liquidity_sol"]),
        limit=entry.get("limit", options["limit"]),
    )


def _summary(report: dict[str, Any]) -> str:
    return (
        f"{report['tape']} {report['config_version']} {report['profile']} through {report['through']}: "
        f"{report['ticks']} ticks in {report['seconds']} s, {len(report['trades'])} trades, "
        f"{report['decisions']} decisions {report['decision_hash'][:16]}, "
        f"equity {report['equity_lamports']}, books {'balanced' if report['books']['balanced'] else 'BROKEN'}"
    )
