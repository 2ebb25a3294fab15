"""Columns, bulk inserts and the pipeline that the hot tables share.

`UnitsField` and `PriceField` are the only column types for amounts and prices. `insert` writes many rows of one model
with one `INSERT ... SELECT FROM unnest(...)`: one round trip whatever the number of rows, and usable inside
`pipeline`.
"""

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection, models

from nexgent.money import PRICE_PLACES

UNHURRIED = "(SELECT set_config('synchronous_commit', 'off', true)) = 'off'"
"""A condition that is true, and lets the commit not wait for the disk: for what may be done again or lost."""


@contextmanager
def pipeline() -> Iterator[None]:
    """Send the statements inside without waiting for each answer; an error is raised at the end, as Django's."""
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


class UnitsField(models.DecimalField):
    """A whole amount (lamports or token base units): `numeric(39,0)` in the database, `int` in Python."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_digits"], kwargs["decimal_places"] = 39, 0
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: Any, *_: Any) -> int | None:
        return None if value is None else int(value)

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)
        return None if value is None else int(value)


class PriceField(models.DecimalField):
    """SOL per whole token: `numeric(48,24)`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_digits"], kwargs["decimal_places"] = 48, PRICE_PLACES
        super().__init__(*args, **kwargs)


@functools.cache
def _statement(model: type[models.Model], names: tuple[str, ...], conflict: str) -> tuple[str, frozenset[int]]:
    fields = [model._meta.get_field(name) for name in names]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    arrays = ", ".join(f"%b::{_array_type(field)}[]" for field in fields)
    json_at = frozenset(i for i, field in enumerate(fields) if isinstance(field, models.JSONField))
    selected = ", ".join(f"c{i}" for i in range(len(fields)))
    sql = (
        f'INSERT INTO "{model._meta.db_table}" ({columns}) '  # noqa: S608  (names come from the model, never from input)
        f"SELECT {selected} FROM unnest({arrays}) AS rows({selected}){' ' + conflict if conflict else ''}"
    )
    return sql, json_at


def _array_type(field: Any) -> str:
    target = field
    while isinstance(target, models.ForeignKey):
        target = target.target_field
    kind = target.rel_db_type(connection) if isinstance(target, models.AutoField) else target.db_type(connection)
    return str(kind).split("(")[0]


def insert(
    model: type[models.Model], names: tuple[str, ...], rows: Sequence[Sequence[Any]], *, conflict: str = ""
) -> list[Any]:
    """Insert `rows` (each in the order of the field names `names`) in one statement.

    JSON columns take Python values, enums their integers. `conflict` is an optional `ON CONFLICT ...` clause; what it
    names with `RETURNING` is the answer.
    """
    if not rows:
        return []
    sql, json_at = _statement(model, names, conflict)
    columns = [
        [None if v is None else json.dumps(v) for v in column] if i in json_at else list(column)
        for i, column in enumerate(zip(*rows, strict=True))
    ]
    with execute(sql, columns) as cursor:
        return cursor.fetchall() if cursor.description else []


def execute(
    sql: str, parameters: Sequence[Any] | Mapping[str, Any], *, is_answer_binary: bool = False
) -> "psycopg.Cursor[Any]":
    """Execute one statement that binds on the server, in binary where it says `%b`, and is prepared.

    A binary answer spares reading numbers, times and ids from text: worth it for many rows. Django's own cursor writes
    every parameter into the text of the statement, which costs most for long arrays. Its execution wrappers and its
    query log see this statement like any other. Raises Django's database errors.
    """
    connection.ensure_connection()
    own = psycopg.Cursor(connection.connection)

    def run(sql: str, parameters: Any, many: bool, context: Any) -> Any:
        return own.execute(sql, parameters, prepare=True, binary=is_answer_binary)

    wrapped: Callable[..., Any] = run
    for wrapper in reversed(connection.execute_wrappers):
        wrapped = functools.partial(wrapper, wrapped)
    with connection.wrap_database_errors:
        wrapped(sql, parameters, False, {"connection": connection, "cursor": own})
    if connection.queries_logged:
        connection.queries_log.append({"sql": sql, "time": "0"})
    return own


@functools.cache
def _update_statement(model: type[models.Model], names: tuple[str, ...]) -> tuple[str, frozenset[int]]:
    fields = [model._meta.get_field(name) for name in names]
    arrays = ", ".join(f"%b::{_array_type(field)}[]" for field in fields)
    json_at = frozenset(i for i, field in enumerate(fields) if isinstance(field, models.JSONField))
    selected = ", ".join(f"c{i}" for i in range(len(fields)))
    assigned = ", ".join(f'"{field.column}" = rows.c{i}' for i, field in enumerate(fields) if i)
    sql = (
        f'UPDATE "{model._meta.db_table}" AS changed SET {assigned} '  # noqa: S608  (names come from the model)
        f'FROM unnest({arrays}) AS rows({selected}) WHERE changed."{fields[0].column}" = rows.c0'
    )
    return sql, json_at


def update(
    model: type[models.Model],
    names: tuple[str, ...],
    rows: Sequence[Sequence[Any]],
    *,
    where: str = "",
    parameters: Sequence[Any] = (),
) -> "psycopg.Cursor[Any]":
    """Update `rows` (the primary key first, then the new values, in the order of the field names `names`) in one
    statement. `where` goes on with it (`AND ...`, `RETURNING ...`); the changed table is called `changed`.

    The caller has locked the rows, or needs no order of locking. JSON columns take Python values.
    """
    sql, json_at = _update_statement(model, names)
    columns = [
        [None if v is None else json.dumps(v) for v in column] if i in json_at else list(column)
        for i, column in enumerate(zip(*rows, strict=True))
    ]
    return execute(f"{sql} {where}".rstrip(), [*columns, *parameters])
