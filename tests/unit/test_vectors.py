"""Every committed vector family against our code, and the runner's own judgement."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.vectors.comparison import differences, wanted
from tests.vectors.families import MODULES, NEEDS_DATABASE, failures, files, load

DIRECTORY = Path(__file__).parents[1] / "data" / "vectors"
FILES = dict(files(DIRECTORY))


def test_every_family_is_committed() -> None:
    assert set(FILES) == set(MODULES)


def cases() -> list[Any]:
    """A test per family, inside a database where the family needs one."""
    return [
        pytest.param(name, marks=[pytest.mark.django_db] if name in NEEDS_DATABASE else []) for name in sorted(MODULES)
    ]


@pytest.mark.parametrize("name", cases())
def test_family(name: str) -> None:
    vectors = load(FILES[name])

    wrong = failures(name, vectors)

    assert len(vectors) > 40
    assert wrong == []


def test_decided_wins_over_expected_even_when_it_is_null() -> None:
    assert wanted({"expected": 1, "decided": None}) is None
    assert wanted({"expected": 1}) == 1


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"ok": True}, {"ok": 1}),
        ({"count": 3}, {"count": 4}),
        ({"price_sol": 0.001}, {"price_sol": Decimal("0.001000002")}),
        ({"fee_sol": 0.001}, {"fee_sol": Decimal("0.001000002")}),
        ({"codes": ["a"]}, {"codes": ["a", "b"]}),
        ({"code": "a"}, {"code": "b"}),
        ({"balance": "1"}, {"balance": "1", "other": "2"}),
        (None, {"price": 1}),
    ],
)
def test_a_difference_is_found(expected: object, actual: object) -> None:
    assert len(differences("pnl", expected, actual)) == 1


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"fee_sol": 0.001}, {"fee_sol": Decimal("0.001000001")}),
        ({"profit_usd": 1.5}, {"profit_usd": Decimal("1.500001")}),
        ({"price": 0.1}, {"price": Decimal("0.10000000001")}),
        ({"fee_sol": 1}, {"fee_sol": 1, "rent_deposit_sol": Decimal(0)}),
        ({"balances": {"TOK": "0"}}, {"balances": {}}),
    ],
)
def test_a_tolerated_difference_is_none(expected: object, actual: object) -> None:
    assert differences("pnl", expected, actual) == []
