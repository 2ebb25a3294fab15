"""How an endpoint says what it takes and answers: one record per method, the source of the OpenAPI text and the page.

`describe` hangs an `Operation` on the method (or on a plain view). It changes nothing of how the request is answered
and imports nothing heavy; `nexgent.api.document` reads the records when somebody asks for the text. What follows from
the code is not repeated: scope, role, limits, ids in the path, sign-in, and the refusals that come with them are added.

    @describe(
        "listAgents", "The agents of the workspace", tag="Agents",
        query=(*PAGE, text("name", "Part of the name")), answer=list[AgentShape],
    )
    def get(self, request): ...
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from nexgent.api.query import BIGINT_MAX, LIMIT_DEFAULT, LIMIT_MAX, OFFSET_MAX

_View = TypeVar("_View", bound=Callable[..., Any])
JsonSchema = Mapping[str, Any]
_NO_NUL = r"^[^\x00]*$"


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a query string, path or header, with its JSON schema."""

    name: str
    schema: JsonSchema
    description: str = ""
    is_required: bool = False

    def required(self) -> "Param":
        return replace(self, is_required=True)


@dataclass(frozen=True, slots=True)
class Link:
    """What to do next: the operation that takes a value of this answer (an OpenAPI link)."""

    operation: str
    parameters: Mapping[str, str]
    """Parameter name to a runtime expression, such as `$response.body#/id`."""


@dataclass(frozen=True, slots=True)
class Operation:
    """All that a client needs to know about one method of one route, beyond what its view's attributes tell."""

    id: str
    summary: str
    tag: str
    description: str = ""
    body: Any = None
    """A pydantic `Body`, or anything pydantic can make a schema of; None when the method takes no body."""
    is_body_required: bool = True
    query: tuple[Param, ...] = ()
    path: tuple[Param, ...] = ()
    """Only those that are no UUID; the others are found in the route."""
    headers: tuple[Param, ...] = ()
    answer: Any = None
    """A `Shape`, `list[Shape]`, …; None for an answer without content."""
    status: int = 200
    also: Mapping[int, Any] = field(default_factory=dict)
    """Other good answers by status."""
    refusals: tuple[str, ...] = ()
    """Codes of its own; those that every such route can give are added."""
    answer_headers: tuple[str, ...] = ()
    produces: str = "application/json"
    is_idempotent: bool = False
    """Takes an `Idempotency-Key`."""
    is_public: bool | None = None
    """Only for plain views; endpoints say it themselves."""
    example: Any = None
    answer_example: Any = None
    links: Mapping[str, Link] = field(default_factory=dict)
    method: str = "GET"
    """Only for plain views."""


def describe(
    operation_id: str,
    summary: str,
    *,
    tag: str,
    idempotent: bool = False,
    public: bool | None = None,
    body_required: bool = True,
    query: Sequence[Param] = (),
    **more: Any,
) -> Callable[[_View], _View]:
    """Describe a method of an endpoint, or a plain view; the other fields are those of `Operation`.

    `operation_id` is camelCase and unique: generated clients name their functions after it.
    """
    if not re.fullmatch(r"[a-z][A-Za-z0-9]+", operation_id):
        raise ValueError(f"{operation_id} is no operation id")
    operation = Operation(
        id=operation_id,
        summary=summary,
        tag=tag,
        is_idempotent=idempotent,
        is_public=public,
        is_body_required=body_required,
        query=tuple(query),
        **more,
    )

    def mark(view: _View) -> _View:
        view.operation = operation  # type: ignore[attr-defined]
        return view

    return mark


# --- Parameters, named as the readers of `nexgent.api.query` ----------------------------------------------------------


def text(name: str, description: str = "", *, length_max: int = 255) -> Param:
    return Param(name, {"type": "string", "maxLength": length_max, "pattern": _NO_NUL}, description)


def choice(name: str, allowed: Collection[str], description: str = "", *, default: str | None = None) -> Param:
    schema: dict[str, Any] = {"type": "string", "enum": sorted(allowed)}
    return Param(name, schema if default is None else {**schema, "default": default}, description)


def integer(name: str, description: str = "", *, least: int = 0, most: int = BIGINT_MAX, **more: Any) -> Param:
    return Param(name, {"type": "integer", "minimum": least, "maximum": most, **more}, description)


def flag(name: str, description: str = "") -> Param:
    return Param(name, {"type": "string", "enum": ["true", "false"]}, description)


def moment(name: str, description: str = "") -> Param:
    return Param(
        name, {"type": "string", "format": "date-time"}, description or "ISO 8601; a date alone is its midnight."
    )


def decimal(name: str, description: str = "") -> Param:
    return Param(name, {"type": "string", "pattern": r"^-?[0-9]{1,18}(\.[0-9]{1,18})?$"}, description)


def uuid(name: str, description: str = "") -> Param:
    return Param(name, {"type": "string", "format": "uuid"}, description)


def mint(name: str, description: str = "Address of a token, in its exact case.") -> Param:
    return Param(name, {"type": "string", "format": "solana-address"}, description)


def address(name: str, description: str = "Address of a wallet.") -> Param:
    return Param(name, {"type": "string", "minLength": 1, "maxLength": 44, "pattern": "^[A-Za-z0-9_-]+$"}, description)


PAGE = (
    integer("limit", "Rows at most.", least=1, most=LIMIT_MAX, default=LIMIT_DEFAULT),
    integer("offset", "Rows to leave out, from the newest on.", most=OFFSET_MAX, default=0),
)


def window(listing: Any) -> tuple[Param, ...]:
    """What `nexgent.api.pagination` reads for a list: page, cursor, sort, total."""
    limit = integer("limit", "Rows at most.", least=1, most=LIMIT_MAX)
    if listing.limit_default is not None:
        limit = replace(limit, schema={**limit.schema, "default": listing.limit_default})
    return (
        limit,
        integer("offset", "Rows to leave out; not together with cursor.", most=OFFSET_MAX),
        text("cursor", "From the header Link of the page before.", length_max=1_000),
        choice("sort", listing.sorts, "A minus in front: descending.", default=listing.default),
        flag("total", "`true`: count all rows, in the header X-Total-Count."),
    )
