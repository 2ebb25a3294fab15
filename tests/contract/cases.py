"""What a case of the contract is: one request, the status it must get, and what must be true of the answer.

Cases are declared, not programmed: a path's parameters, a body's and a query's `{name}` are values of the world
(`tests.contract.world`), made when a case first asks for them.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

ABSENT = "018f0000-0000-7000-8000-000000000009"
"""A well-formed id that nothing has."""
_NAME = re.compile(r"\{(\w+)\}")
_PARAMETER = re.compile(r":(\w+)")


@dataclass(frozen=True, slots=True)
class Case:
    """One request and its answer.

    `route` as in the table: "GET /agents/:agentId" (under /api/v1) or "GET root:/health". `who`: owner, stranger (an
    owner of another workspace), viewer, auditor, trader (members of the owner's), admin, nobody, or "key:scope scope".
    """

    route: str
    status: int
    note: str = ""
    path: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    who: str = "owner"
    code: str = ""
    fields: tuple[str, ...] = ()
    """Names that a VALIDATION_ERROR must mention."""
    first: "tuple[Case, ...]" = ()
    """Requests before this one; their status is checked too."""
    between: Callable[[Any], object] | None = None
    """What happens after those and before this one."""
    repeat: int = 1
    """Send so often from one address; the last answer counts."""
    uses: tuple[str, ...] = ()
    """Values of the world that must be there although the request does not name them."""
    given: Callable[[Any], object] | None = None
    """Whatever else must be true before."""
    check: Callable[[Any, Any], None] | None = None
    """Looks at (world, answer)."""
    golden: bool = True
    """A success is compared with `tests/data/contract/golden/`, named by route and note."""
    committed: bool = False
    """The request trades: real commits, and a thread that sells, instead of a transaction that is rolled back."""
    is_sold: bool = True
    """Whether that thread runs."""

    @property
    def id(self) -> str:
        return " ".join(filter(None, [self.route, str(self.status), self.note]))

    @property
    def method(self) -> str:
        return self.route.split(" ", 1)[0]

    @property
    def template(self) -> str:
        """The URL with its parameters."""
        path = self.route.split(" ", 1)[1]
        return path.removeprefix("root:") if path.startswith("root:") else f"/api/v1{path}"

    @property
    def asked(self) -> set[str]:
        """The values of the world that the request itself names."""
        parameters = set(_PARAMETER.findall(self.template)) - self.path.keys()
        return parameters | _names_in([self.path, self.query, self.body, self.headers])

    @property
    def names(self) -> set[str]:
        """All that must be there."""
        return {*self.asked, *self.uses}

    def as_(self, who: str, status: int, **changes: Any) -> "Case":
        """The same request by somebody else."""
        return replace(self, who=who, status=status, golden=False, check=None, **changes)


def _names_in(value: Any) -> set[str]:
    if isinstance(value, str):
        return set(_NAME.findall(value))
    if isinstance(value, Mapping):
        value = value.values()
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return set().union(*(_names_in(inner) for inner in value))
    return set()


def filled(value: Any, world: Any) -> Any:
    """The value with every `{name}` replaced; text that is nothing but a name keeps the type of what it names."""
    if isinstance(value, str):
        whole = _NAME.fullmatch(value)
        return world[whole[1]] if whole else _NAME.sub(lambda match: str(world[match[1]]), value)
    if isinstance(value, Mapping):
        return {key: filled(inner, world) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [filled(inner, world) for inner in value]
    return value


def url_of(case: Case, world: Any) -> str:
    """The path with the case's own parameters, else the world's."""
    return _PARAMETER.sub(
        lambda match: str(filled(case.path[match[1]], world) if match[1] in case.path else world[match[1]]),
        case.template,
    )
