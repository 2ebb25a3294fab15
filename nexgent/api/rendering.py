"""JSON in and out for every endpoint: one format, no negotiation, no binary floats.

A number with a fraction arrives as `Decimal`. What JSON forbids (NaN, Infinity) and what PostgreSQL cannot store (NUL,
lone surrogates) is refused here, so that no endpoint has to think of it.
"""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from nexgent import money

MAGNITUDE_MAX = 60
"""Largest power of ten, either way, of a number in a body: a 9-byte `1e999999` must not become a megabyte."""
DEPTH_MAX = 32
_TOO_DEEP = f"it is nested more than {DEPTH_MAX} levels deep"
WHOLE_MAX = 2**63 - 1
WHOLE_DIGITS_SAFE = 19
"""Shorter texts of integers fit, sign included."""


def dumps(value: Any) -> bytes:
    """JSON bytes of a wire value (`nexgent.api.wire` makes the leaves; a Decimal is an exact number)."""
    return orjson.dumps(value, default=_exact, option=orjson.OPT_NON_STR_KEYS)


def _exact(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(money.text(value))
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _fraction(text: str) -> Decimal | int:
    try:
        value = Decimal(text)
    except InvalidOperation as problem:  # an exponent beyond what even Decimal holds
        raise ValueError("a number is too large or too small") from problem
    if abs(value.adjusted()) > MAGNITUDE_MAX:
        raise ValueError("a number is too large or too small")
    # 5.0 is the whole number 5, as in JSON Schema.
    return int(value) if value == value.to_integral_value() and abs(value) <= WHOLE_MAX else value


def _whole(text: str) -> Decimal | int:
    """An integer, while 64 bits hold it; a larger one is kept as the exact number it is."""
    if len(text) < WHOLE_DIGITS_SAFE:
        return int(text)
    value = _fraction(text)
    return value if abs(value) > WHOLE_MAX else int(value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands twice in one object")  # what checks a body and what acts on it must see one
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check_text(value: Any, depth: int = 0) -> None:
    if depth > DEPTH_MAX:
        raise ValueError(_TOO_DEEP)
    if isinstance(value, str):
        if "\x00" in value:
            raise ValueError("text may not contain NUL")
        value.encode()
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(key, depth + 1)
            _check_text(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_text(inner, depth + 1)


def loads(body: bytes) -> Any:
    """A request body; raises `ValueError` for what is no JSON of ours."""
    try:
        value = json.loads(
            body.decode(),
            parse_float=_fraction,
            parse_int=_whole,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except RecursionError as problem:
        raise ValueError(_TOO_DEEP) from problem
    _check_text(value)
    return value


class JsonParser(BaseParser):
    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        # The request's: what was read before (for its signature) comes as plain bytes.
        request = (parser_context or {}).get("request", stream)
        if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig
        body = stream.read()
        if not body.strip():
            return {}
        try:
            return loads(body)
        except ValueError as problem:
            raise ParseError(f"The body is not valid JSON: {problem}"[:200]) from problem


class JsonRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return b"" if data is None else dumps(data)


class OneFormat(BaseContentNegotiation):
    """Whatever a client says it accepts, it gets JSON; as existing clients expect."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        media_type = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == media_type), None)

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type
