"""Wire types of answers: what a field looks like to a client, to the letter.

Shapes describe, they do not render: answers are plain dictionaries written by hand (`*_wire`), and tests hold every
answer against its shape. A shape lists every field; one that may be absent has a default.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel


def _open(schema: dict[str, Any]) -> None:
    """As clients should read it: without defaults, and ready for fields that a later version adds."""
    schema.pop("additionalProperties", None)
    for described in schema.get("properties", {}).values():
        described.pop("default", None)


class Shape(BaseModel):
    """Base of answers: snake_case in Python, camelCase on the wire.

    Nothing unlisted is answered (goldens and the fuzz compare exactly), but the OpenAPI text does not promise that: a
    strict generated client must survive a new field.
    """

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True, json_schema_extra=_open)


Uuid = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
Stamp = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
            "examples": ["2026-05-01T12:00:00.000Z"],
        }
    ),
]
"""UTC, three decimals, `Z`."""
DecimalText = Annotated[
    str,
    WithJsonSchema({"type": "string", "pattern": r"^-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?$", "examples": ["0.25"]}),
]
"""An exact decimal as text: plain, no exponent, no trailing zeros."""
Number = Annotated[Decimal, WithJsonSchema({"type": "number"})]
"""An exact decimal as JSON number."""
Mint = Annotated[str, WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 255})]
Object = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": True})]


class Error(Shape):
    """Every refusal and failure."""

    error: str = Field(description="A sentence for people.")
    code: str = Field(pattern="^[A-Z][A-Z0-9_]*$", description="Stable; programs look at this.")
    details: Any = Field(description="What else is known: field errors, what to use instead, …")
    request_id: str = Field(description="The same as the header X-Request-Id.")
    success: Literal[False] | None = Field(default=None, description="With VALIDATION_ERROR only.")
    retry_after: int | None = Field(default=None, description="Seconds, with RATE_LIMITED.")
    locked_until: Stamp | None = Field(default=None, description="With ACCOUNT_LOCKED.")
    order_id: Uuid | None = Field(default=None, description="With EXECUTION_FAILED.")


class Done(Shape):
    """It is done; `message` is a sentence for people."""

    success: Literal[True]
    message: str
