"""Typed reading of query strings and path ids: a wrong value is a 400 that names the field."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_date, parse_datetime

from nexgent.errors import InvalidInput

LIMIT_DEFAULT = 100
LIMIT_MAX = 1000
OFFSET_MAX = 1_000_000_000
BIGINT_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Page:
    """A slice of a list in its fixed order, newest first."""

    limit: int
    offset: int

    @property
    def slice(self) -> slice:
        return slice(self.offset, self.offset + self.limit)


def text(request: Any, name: str, *, length_max: int = 255) -> str | None:
    """A text parameter, trimmed; None when absent or empty."""
    value = request.query_params.get(name, "").strip()
    if len(value) > length_max or "\x00" in value:
        raise InvalidInput({name: f"must be text of at most {length_max} characters"})
    return value or None


def choice(request: Any, name: str, allowed: Collection[str], *, default: str | None = None) -> str | None:
    value = text(request, name)
    if value is None:
        return default
    if value not in allowed:
        raise InvalidInput({name: f"must be one of {', '.join(sorted(allowed))}"})
    return value


def integer(request: Any, name: str, *, least: int = 0, most: int = BIGINT_MAX) -> int | None:
    value = text(request, name)
    if value is None:
        return None
    if not (value.isascii() and value.removeprefix("-").isdigit() and len(value) < 20):
        raise InvalidInput({name: "must be an integer"})
    result = int(value)
    if not least <= result <= most:
        raise InvalidInput({name: f"must be between {least} and {most}"})
    return result


def flag(request: Any, name: str) -> bool | None:
    value = choice(request, name, {"true", "false"})
    return None if value is None else value == "true"


def moment(request: Any, name: str) -> datetime | None:
    """An ISO 8601 time or date; without a zone it is UTC."""
    value = text(request, name)
    if value is None:
        return None
    try:
        # A literal "+" of an offset arrives as a space.
        at = parse_datetime(value) or parse_datetime(value.replace(" ", "+"))
        day = None if at else parse_date(value)
    except ValueError:
        at = day = None
    if at is None and day is not None:
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if at is None:
        raise InvalidInput({name: "must be an ISO 8601 time"})
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as problem:
        raise InvalidInput({name: "must be an ISO 8601 time"}) from problem


def page(request: Any) -> Page:
    """`limit` (default 100, at most 1000) and `offset` (default 0)."""
    limit = integer(request, "limit", least=1, most=LIMIT_MAX)
    offset = integer(request, "offset", most=OFFSET_MAX)
    return Page(LIMIT_DEFAULT if limit is None else limit, offset or 0)


def uuid_of(value: str, name: str) -> UUID:
    """An id in a path or body; raises `InvalidInput` when it is no UUID."""
    try:
        if len(value) != 36:
            raise ValueError
        return UUID(value)
    except (ValueError, AttributeError, TypeError) as problem:
        raise InvalidInput({name: "must be a UUID"}) from problem


def uuid_param(request: Any, name: str, *, required: bool = True) -> UUID | None:
    value = text(request, name)
    if value is None:
        if required:
            raise InvalidInput({name: "is required"})
        return None
    return uuid_of(value, name)
