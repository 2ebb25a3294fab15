"""The examples of the OpenAPI text, made from the golden answers: `python -m tests.contract --examples`.

They are committed as `nexgent/api/examples.json`, because the product does not read tests. Placeholders become values
of the right form, the same in every run; of several goldens of one status the fullest is taken, of a list its first
row.
"""

import json
import re
from pathlib import Path
from typing import Any

from tests.contract import golden
from tests.contract.cases import Case
from tests.contract.collected import declared

FILE = Path(__file__).parents[2] / "nexgent" / "api" / "examples.json"
_TIME, _LATER = "2026-05-01T12:00:00.000Z", "2026-05-02T12:00:00.000Z"
_VALUES = (
    (re.compile(r'("expires\w*": |"\w+Until": )"<time>"'), rf'\1"{_LATER}"'),
    (re.compile("<time>"), _TIME),
    (re.compile("<time of the database>"), "2026-05-01T12:00:00.000000+00:00"),
    (re.compile(r"<id (\d+)>"), lambda match: f"0190a6a0-0000-7000-8000-{int(match[1]):012d}"),
    (re.compile("<address>"), "192.0.2.10"),
    (re.compile("<secret>"), "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"),
    (re.compile("<key>"), "nex_Example0Example0Example0Example0"),
    (re.compile("<prefix>"), "nex_Exam"),
    (re.compile("<token>"), "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VySWQiOiJleGFtcGxlIn0.signature"),
    (re.compile("<simulated wallet>"), "sim_9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin"),
    (re.compile("<handle>"), "b3duZXJvd25lcm93bmVyb3duZXJvd25lcm93bmVyMDE"),
    (re.compile("<number>"), "12"),
    (re.compile("<seconds>"), "840"),
)


def made() -> dict[str, dict[str, Any]]:
    """ "GET /api/v1/agents/{agentId}" to its examples by status, in the order of the names."""
    found: dict[str, dict[str, tuple[int, Any]]] = {}
    for case in declared():
        text = _text(case)
        if text is None:
            continue
        statuses = found.setdefault(re.sub(r":(\w+)", r"{\1}", f"{case.method} {case.template}"), {})
        if len(text) > statuses.get(str(case.status), (0,))[0]:
            statuses[str(case.status)] = len(text), _example(text)
    return {route: {status: found[route][status][1] for status in sorted(found[route])} for route in sorted(found)}


def written() -> str:
    """The file as it should be."""
    return json.dumps(made(), indent=1, ensure_ascii=False) + "\n"


def _text(case: Case) -> str | None:
    """The golden of a case that answers JSON under `/api/v1`, if there is one."""
    file = golden.file_of(case)
    if not (case.golden and case.status < 300 and case.template.startswith("/api/v1/") and file.exists()):
        return None
    text = file.read_text()
    return None if text.startswith('{\n  "contentType": ') else text


def _example(text: str) -> Any:
    for pattern, value in _VALUES:
        text = pattern.sub(value, text)
    numbers = iter(range(10))
    example = json.loads(re.sub("<code>", lambda _: f"{73_939_133 * (next(numbers) + 1) % 10**8:08d}", text))
    return example[:1] if isinstance(example, list) else example
