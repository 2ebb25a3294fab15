"""Which families there are, and what it takes to run one. A module is imported when its family runs, not before."""

import gzip
import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.vectors.comparison import differences, wanted

Family = Callable[[dict[str, Any]], Any]
MODULES = {
    "stop_loss": "exits",
    "take_profit": "ladder",
    "dca": "exits",
    "stale_trade": "exits",
    "fees": "profit",
    "pnl": "profit",
    "position_sizing": "entries",
    "trade_validation": "entries",
    "price_impact": "entries",
    "eligibility": "entries",
    "price_parsing": "prices",
    "config_validation": "config",
    "config_merge": "config",
    "signal_request": "signals",
    "balances": "balances",
    "lifecycle": "lifecycle",
}
NEEDS_DATABASE = frozenset({"signal_request", "balances", "lifecycle"})
"""Families whose module needs Django and a database."""


def family(name: str) -> Family:
    """The function of a family. Raises KeyError or ModuleNotFoundError when there is none."""
    module = importlib.import_module(f"tests.vectors.{MODULES[name]}")
    run: Family = module.FAMILIES[name]
    return run


def files(directory: Path) -> Iterator[tuple[str, Path]]:
    """(family, file) for every vector file, plain or gzip, by name."""
    for path in sorted(directory.iterdir()):
        if path.name.endswith((".json", ".json.gz")):
            yield path.name.split(".")[0], path


def load(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    vectors: list[dict[str, Any]] = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    return vectors


def failures(name: str, vectors: list[dict[str, Any]]) -> list[str]:
    """One line per vector whose result differs; an exception is a failure, with its type and text."""
    try:
        run = family(name)
    except (KeyError, ModuleNotFoundError) as error:
        return [f"{vector['name']}: no such family ({error})" for vector in vectors]
    lines = []
    for vector in vectors:
        try:
            found = differences(name, wanted(vector), run(vector))
        except Exception as error:  # a vector that breaks our code is a failed vector, not the end of the run
            found = [f"{type(error).__name__}: {error}"]
        if found:
            lines.append(f"{vector['name']}: {'; '.join(found)}")
    return lines
