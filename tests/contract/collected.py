"""All cases: those that the groups declare, and those that follow from the table for every route alike."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.contract import groups
from tests.contract.cases import ABSENT, Case
from tests.contract.table import Row, rows, served

NUMBERS = {"signalId": "1", "number": "1"}
"""Parameters of paths that are no UUIDs."""


def declared() -> list[Case]:
    """The cases of every module in `tests/contract/groups`."""
    names = sorted(module.name for module in pkgutil.iter_modules(groups.__path__))
    modules = [importlib.import_module(f"{groups.__name__}.{name}") for name in names]
    return [case for module in modules for case in module.CASES]


def everything() -> list[Case]:
    """Declared and derived cases; each id once."""
    table, views, own = rows(), served(), declared()
    cases = [*own, *_derived(table, views, own)]
    ids = [case.id for case in cases]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    assert not twice, f"cases with the same name: {twice}"
    return cases


def _derived(table: dict[str, Row], views: dict[str, Any], own: list[Case]) -> Iterator[Case]:
    firsts: dict[str, Case] = {}
    for case in own:
        if case.status < 400:
            firsts.setdefault(case.route, case)
    for route, row in table.items():
        first = firsts.get(route, Case(route, 200))
        view = views.get(route)
        if 401 in row.statuses and not getattr(view, "is_public", False):
            yield replace(
                _bare(first), who="nobody", status=401, note="without a credential", code="AUTHENTICATION_ERROR"
            )
        if 403 in row.statuses and view is not None and hasattr(view, "scopes") and not view.is_public:
            key = _key_without(view, first.method)
            yield replace(_bare(first), who=key, status=403, note="with another key", code="AUTHORIZATION_ERROR")
        if 404 in row.statuses and first.asked and route in firsts and first.who != "nobody":
            yield first.as_("stranger", 404, note=" ".join(filter(None, [first.note, "of somebody else"])), first=())


def _bare(case: Case) -> Case:
    """The request with ids that nothing has: who may not ask learns nothing."""
    path = {name: NUMBERS.get(name, ABSENT) for name in _parameters(case)}
    return Case(case.route, case.status, path=path, body=None if case.body is None else {}, golden=False)


def _parameters(case: Case) -> set[str]:
    return {part[1:] for part in case.template.split("/") if part.startswith(":")}


def _key_without(view: Any, method: str) -> str:
    """A key that may do much, but not this."""
    scope = view.scopes.get(method)
    if scope is None:
        return "key:full_access trade config"
    others = {"signals", "agents", "positions", "balances", "transactions", "history", "trade", "config"} - {scope}
    return "key:" + " ".join(sorted(others))
