"""Every promise names tests that exist, and every defect of the reference has its regression test."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROW = re.compile(r"^\| (\d+)\. .*? \| (.*) \|$", re.MULTILINE)
PROMISES = {
    int(number): re.findall(r"`([^`]+)`", kept) for number, kept in ROW.findall((TESTS / "promises.md").read_text())
}
ENGINE_DEFECTS = {*range(1, 18), *range(19, 25), *range(26, 29), *range(31, 34), *range(35, 38)}
API_DEFECTS = {25, 29, 30, 34}


def names_in(path: Path) -> set[str]:
    """The test functions of a file."""
    tree = ast.parse(path.read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_")}


def defects_tested() -> set[int]:
    found = (name for path in TESTS.rglob("test_*.py") for name in names_in(path))
    return {int(match[1]) for name in found if (match := re.match(r"test_d(\d+)_", name))}


def test_every_promise_is_kept_by_a_test() -> None:
    assert sorted(PROMISES) == list(range(1, 11))
    assert [number for number, kept in PROMISES.items() if len(kept) < 3] == []


@pytest.mark.parametrize("number", sorted(PROMISES))
def test_the_tests_of_a_promise_exist(number: int) -> None:
    missing = []
    for node_id in PROMISES[number]:
        file, _, name = node_id.partition("::")
        if not (TESTS / file).is_file() or name not in names_in(TESTS / file):
            missing.append(node_id)

    assert missing == []


def test_every_defect_has_its_regression_test() -> None:
    assert sorted((ENGINE_DEFECTS | API_DEFECTS) - defects_tested()) == []
