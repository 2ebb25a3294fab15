"""Whether our result is the vector's: the tolerances and exemptions of the vectors' README, nothing else."""

from decimal import Decimal, InvalidOperation
from typing import Any

LAMPORT = Decimal("1.000001e-9")
MICRO_USD = Decimal("1e-6")
_EXACT = (Decimal("1e-9"), Decimal("1e-12"))
_LIFECYCLE = (Decimal("1e-7"), Decimal("2e-8"))


def wanted(vector: dict[str, Any]) -> Any:
    """What our result must be: `decided` when present, else `expected`."""
    return vector["decided"] if "decided" in vector else vector["expected"]


def differences(family: str, expected: Any, actual: Any) -> list[str]:
    """One line per difference, empty when the results agree."""
    return _compare(family, "", "result", expected, actual)


def _compare(family: str, path: str, key: str, expected: Any, actual: Any) -> list[str]:
    if family == "signal_request" and key == "error_code" and expected is None:
        return []
    if isinstance(expected, dict) and isinstance(actual, dict):
        lines = []
        for name in {**expected, **actual}:
            lines += _compare(family, f"{path}.{name}", str(name), expected.get(name), actual.get(name))
        return lines
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        if len(expected) != len(actual):
            return [f"{path or key}: {len(expected)} entries expected, {len(actual)} found: {actual!r}"]
        pairs = enumerate(zip(expected, actual, strict=True))
        return [line for i, (e, a) in pairs for line in _compare(family, f"{path}[{i}]", key, e, a)]
    return [] if _same(family, key, expected, actual) else [f"{path or key}: expected {expected!r}, got {actual!r}"]


def _same(family: str, key: str, expected: Any, actual: Any) -> bool:
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    want, have = _number(expected), _number(actual)
    if want is None or have is None:
        return expected == actual or _is_nothing(expected, actual)
    relative, absolute = _LIFECYCLE if family == "lifecycle" else _EXACT
    if family == "balances" or (key.endswith("_sol") and "price" not in key):
        absolute = max(absolute, LAMPORT)
    if key.endswith("_usd"):
        absolute = max(absolute, Decimal("3e-6") if family == "lifecycle" else MICRO_USD)
    return abs(want - have) <= max(absolute, relative * max(abs(want), abs(have)))


def _is_nothing(expected: Any, actual: Any) -> bool:
    """A balance of 0 and a missing one are the same; so is a key that only ours has, while it is 0."""
    return (expected is None and _number(actual) == 0) or (actual is None and _number(expected) == 0)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
