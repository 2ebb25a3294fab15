"""Typed reading of request bodies: records with wire names, strict types and errors that name the field.

Unknown keys are ignored (existing clients send more than we need); only the trading configuration refuses them.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar
from uuid import UUID

from django.utils.dateparse import parse_datetime
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from nexgent.errors import InvalidInput

_PLAIN = re.compile(r"-?\d{1,40}(\.\d{1,40})?")
_Model = TypeVar("_Model", bound="Body")


class Body(BaseModel):
    """Base of request bodies; snake_case in Python, camelCase on the wire."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, alias_generator=to_camel)


def _without_defaults(schema: dict[str, Any]) -> None:
    for described in schema.get("properties", {}).values():
        described.pop("default", None)
    schema["minProperties"] = 1


class Changes(Body):
    """A body whose absent fields stay as they are; one is needed. It describes; a field's default means nothing."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError("must be a number")
    if isinstance(value, str) and not _PLAIN.fullmatch(value.strip()):
        raise ValueError("must be a decimal number")
    if isinstance(value, int) and abs(value) > 10**40:
        raise ValueError("is too large")
    return Decimal(value.strip() if isinstance(value, str) else value)


def _uuid(value: Any) -> UUID:
    if not isinstance(value, str) or len(value) != 36:
        raise ValueError("must be a UUID")
    try:
        return UUID(value)
    except ValueError as problem:
        raise ValueError("must be a UUID") from problem


def _moment(value: Any) -> datetime:
    at = parse_datetime(value) if isinstance(value, str) else None
    if at is None:
        raise ValueError("must be an ISO 8601 time")
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as problem:
        raise ValueError("must be an ISO 8601 time") from problem


def _trimmed(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


class _ExactSchema:
    """The JSON schema of `_decimal`; a field's bounds are kept (`nexgent.api.operations` says them properly)."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        bounds = {name: value for name, value in handler(core).items() if name in ("gt", "ge", "lt", "le")}
        text = {"type": "string", "pattern": r"^-?[0-9]{1,40}(\.[0-9]{1,40})?$"}
        return {"anyOf": [{"type": "number"}, text], **bounds}


DecimalValue = Annotated[Decimal, BeforeValidator(_decimal), _ExactSchema()]
"""A JSON number or decimal text, exact and finite."""
UuidValue = Annotated[UUID, BeforeValidator(_uuid)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Trimmed = Annotated[str, BeforeValidator(_trimmed)]


def read(model: type[_Model], data: Any) -> _Model:
    """The body as a record; raises `InvalidInput` with one message per field."""
    if not isinstance(data, dict):
        raise InvalidInput({"": "the body must be a JSON object"})
    try:
        return model.model_validate(data)
    except ValidationError as problem:
        problems: dict[str, str] = {}
        for error in problem.errors(include_url=False, include_context=False, include_input=False):
            path = ".".join(str(part) for part in error["loc"])
            problems.setdefault(path, "is required" if error["type"] == "missing" else _sentence(error["msg"]))
        raise InvalidInput(problems) from problem


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should", "should")
