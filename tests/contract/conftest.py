"""Remembers which cases passed, for `python -m tests.contract --coverage`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from prices import services as prices

_passed: set[str] = set()


@pytest.fixture(autouse=True)
def _inline_prices() -> Iterator[None]:
    prices.write_prices("inline")
    yield
    prices.write_prices(settings.PRICES_WRITER)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Iterator[None]:
    outcome: Any = yield
    case = getattr(getattr(item, "callspec", None), "params", {}).get("case")
    if case is not None and call.when == "call" and outcome.get_result().passed:
        _passed.add(f"{case.route} {case.status}")


def pytest_sessionfinish() -> None:
    target = os.environ.get("CONTRACT_RESULTS")
    if target:
        Path(target).write_text(json.dumps(_summary()))


def _summary() -> dict[str, Any]:
    from tests.contract.table import rows, served

    table, real = rows(), served()
    pairs = {f"{row.route} {status}" for row in table.values() for status in row.statuses}
    proved = pairs & _passed
    whole = [route for route, row in table.items() if all(f"{route} {status}" in proved for status in row.statuses)]
    missing = [f"not in the table: {route}" for route in sorted(real.keys() - table.keys())]
    missing += [f"not served: {route}" for route in sorted(table.keys() - real.keys())]
    missing += [f"not proved: {pair}" for pair in sorted(pairs - proved)]
    missing += [f"pending: {row.route}" for row in table.values() if row.pending]
    return {
        "routes": [len(whole), len(real.keys() | table.keys())],
        "statuses": [len(proved), len(pairs)],
        "missing": missing,
    }
