"""Tapes x configurations through the rules and through the engine, compared decision by decision, with each other and
with the committed fingerprints.

`python -m tests.parity.matrix [--full]` prints each run and, last, one line of figures; exit 1 on any difference.
Without `--full`: the synthetic tape of seed 7 and the small committed tape. With it: every tape of `../shared/market`
too. `--renew` writes what the rules decided as the fingerprints from now on, instead of comparing with them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parity import fingerprints

PROJECT_DIR = Path(__file__).resolve().parents[2]
DATA = PROJECT_DIR / "tests" / "data" / "replay"
SMALL_TAPE = DATA / "small_5m.csv.gz"
MARKET = PROJECT_DIR.parent / "shared" / "market"
SEED = 7
BTC_CANDLES = 5_000
SPLITS_CONFIG: dict[str, Any] = json.loads((DATA / "splits.json").read_text())
"""Ladders that sell everything into a pool so shallow that the sale is split, with a stop just below them."""
PAIR = ("zones-aggressive", "custom-dca-custom-ladder")
"""The two configurations that every real tape also runs through the engine."""


@dataclass(frozen=True, slots=True)
class Run:
    """One tape with one configuration; `tape` None is the synthetic market."""

    tape: Path | None
    config: str
    profile: str = "ideal"
    limit: int | None = None
    liquidity_sol: int = 1000
    reentry_seconds: int = 3600

    def plan(self) -> dict[str, Any]:
        return {
            "tape": str(self.tape) if self.tape else None,
            "config": SPLITS_CONFIG if self.config == "splits" else configurations()[self.config],
            "profile": self.profile,
            "limit": self.limit,
            "seed": SEED,
            "liquiditySol": self.liquidity_sol,
            "reentry": self.reentry_seconds,
        }

    def __str__(self) -> str:
        some = f" first {self.limit}" if self.limit else ""
        return f"{self.tape.name if self.tape else 'synthetic'} {self.config} {self.profile}{some}"


SPLITS = Run(None, "splits", "realistic", limit=6_000, liquidity_sol=8, reentry_seconds=10)
"""Reaches the retry of a failed later part, and a stop that takes the place of one."""


def configurations() -> dict[str, dict[str, Any]]:
    """The twelve configurations: together every stop mode, ladder preset and DCA preset."""
    data: dict[str, dict[str, Any]] = json.loads((DATA / "configurations.json").read_text())
    return data


def replay(runs: Sequence[Run], *, through: str) -> list[dict[str, Any]]:
    """The reports of `runs`, made by the command that users call. Raises CalledProcessError when it fails."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as plans:
        json.dump([run.plan() for run in runs], plans)
        plans.flush()
        command = [sys.executable, "manage.py", "replay", "--plans", plans.name, "--feed", "synthetic"]
        command += ["--through", through, "--seed", str(SEED), "--json"]
        done = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"replay failed: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def differences(run: Run, rules: dict[str, Any], engine: dict[str, Any]) -> list[str]:
    """What the two loops disagree on."""
    lines = [
        f"{run}: {key} rules {rules[key]!r} engine {engine[key]!r}"
        for key in ("decision_hash", "decisions", "equity_lamports", "trades")
        if rules[key] != engine[key]
    ]
    if not engine["books"]["balanced"]:
        lines.append(f"{run}: books {engine['books']['problems']}")
    return lines


def compare(runs: Sequence[Run], *, is_renewing: bool = False) -> tuple[list[str], Counter[str]]:
    """Run both loops; returns the differences, from each other and from the fingerprints, and figures."""
    figures: Counter[str] = Counter()
    rules, engine = replay(runs, through="rules"), replay(runs, through="engine")
    problems = held(runs, rules, is_renewing=is_renewing)
    for run, one, other in zip(runs, rules, engine, strict=True):
        problems += differences(run, one, other)
        figures.update(runs=1, ticks=other["ticks"], decisions=other["decisions"], trades=len(other["trades"]))
        figures["entries"] = max(figures["entries"], other["books"]["entries"])
        print(f"{run}: {other['decisions']} decisions {other['decision_hash'][:16]} {other['seconds']} s", flush=True)
    return problems, figures


def held(runs: Sequence[Run], reports: Sequence[dict[str, Any]], *, is_renewing: bool = False) -> list[str]:
    """Where reports differ from the fingerprints; nowhere when those are made anew from them."""
    pairs = list(zip(runs, reports, strict=True))
    if is_renewing:
        fingerprints.renew(pairs)
    return fingerprints.drift(pairs, fingerprints.expected())


def market_tapes() -> list[Path]:
    """The real tapes, when they are there."""
    return sorted(MARKET.glob("*.csv.gz"))


def engine_runs(*, is_full: bool) -> list[Run]:
    runs = [Run(None, name) for name in configurations()]
    runs += [Run(None, "fixed-moderate", "realistic"), Run(SMALL_TAPE, PAIR[0]), Run(SMALL_TAPE, PAIR[1], "realistic")]
    runs.append(SPLITS)
    if is_full:
        for tape in market_tapes():
            limit = BTC_CANDLES if tape.name.startswith("btc_usd") else None
            runs += [Run(tape, name, limit=limit) for name in PAIR]
    return runs


def small_runs() -> list[Run]:
    """The small committed tape with every configuration."""
    return [Run(SMALL_TAPE, name) for name in configurations()]


def rules_runs() -> list[Run]:
    """What runs through the rules alone: every market tape, whole, with every configuration, and the small tape."""
    return small_runs() + [Run(tape, name) for tape in market_tapes() for name in configurations()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--renew", action="store_true", help="make the fingerprints anew: decisions change on purpose")
    wanted = parser.parse_args()
    is_full, is_renewing = wanted.full, wanted.renew
    started = time.monotonic()
    problems, figures = compare(engine_runs(is_full=is_full), is_renewing=is_renewing)
    if is_full or is_renewing:
        runs = rules_runs() if is_full else small_runs()
        reports = replay(runs, through="rules")
        problems += held(runs, reports, is_renewing=is_renewing)
        for report in reports:
            figures.update(rules_runs=1, rules_ticks=report["ticks"], rules_decisions=report["decisions"])
            if not report["books"]["balanced"]:
                problems.append(f"{report['tape']} {report['config_version']}: books not balanced")
    print("\n".join(problems))
    counted = " ".join(f"{name}={value}" for name, value in sorted(figures.items()))
    print(f"parity: {counted} differences={len(problems)} seed={SEED} seconds={time.monotonic() - started:.0f}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
