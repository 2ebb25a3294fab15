"""Pages of lists: limit and offset as existing clients send them, and cursors that stand still while rows come in.

A list names what it can be sorted by (`Listing`). A cursor holds the sort and where the last row stands in it, signed
for the list's path: the next page begins after that row, so that rows inserted meanwhile neither shift nor repeat any.
The way on is in the header `Link`; how many rows there are is counted only when asked (`total=true`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.db.models import Q, QuerySet
from rest_framework.response import Response

from nexgent.api import query
from nexgent.errors import InvalidInput

CURSOR_LENGTH_MAX = 1_000
TOTAL_HEADER = "X-Total-Count"


@dataclass(frozen=True, slots=True)
class Key:
    """One thing to sort by: a column that is never null and hardly changes, and how a cursor's text is read back."""

    column: str
    """Field of a query set, or a column of SQL such as `e.at`."""
    read: Callable[[str], Any]
    name: str = ""
    """Where a row keeps the value, when that is not the last part of `column`."""

    def value_of(self, row: Any) -> str:
        name = self.name or self.column.rpartition(".")[2]
        value = row[name] if isinstance(row, dict) else getattr(row, name)
        return value.isoformat() if isinstance(value, datetime) else str(value)


def by_time(column: str, *, name: str = "") -> Key:
    return Key(column, datetime.fromisoformat, name)


def by_id(column: str, *, name: str = "") -> Key:
    return Key(column, UUID, name)


def by_number(column: str, *, name: str = "") -> Key:
    return Key(column, int, name)


def by_decimal(column: str, *, name: str = "") -> Key:
    return Key(column, Decimal, name)


def by_text(column: str, *, name: str = "") -> Key:
    return Key(column, str, name)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: its sorts by wire name, the unique key that settles ties, and the order without a wish."""

    keys: Mapping[str, Key]
    tie: Key
    default: str
    limit_default: int | None = query.LIMIT_DEFAULT
    """None: a list that its existing clients get whole."""

    @property
    def sorts(self) -> list[str]:
        """What `sort` may say: each name, and with a minus for descending."""
        return sorted(sign + name for name in self.keys for sign in ("", "-"))


@dataclass(frozen=True, slots=True)
class Window:
    """What one request wants of a list."""

    listing: Listing
    path: str
    sort: str
    limit: int | None
    offset: int
    after: tuple[Any, Any] | None
    """Sort value and unique value of the row before the first."""
    wants_total: bool

    @property
    def key(self) -> Key:
        return self.listing.keys[self.sort.removeprefix("-")]

    @property
    def is_descending(self) -> bool:
        return self.sort.startswith("-")

    @property
    def fetched(self) -> int | None:
        """Rows to read: one more than shown, to know whether there are more."""
        return None if self.limit is None else self.limit + 1

    def rows(self, found: QuerySet[Any]) -> list[Any]:
        """The rows of a query set, and one more."""
        key, tie = self.key.column, self.listing.tie.column
        beyond, sign = ("lt", "-") if self.is_descending else ("gt", "")
        if self.after is not None:
            value, last = self.after
            if key == tie:
                found = found.filter(**{f"{tie}__{beyond}": last})
            else:
                strictly = Q(**{f"{key}__{beyond}": value}) | Q(**{f"{tie}__{beyond}": last})
                found = found.filter(strictly, **{f"{key}__{beyond}e": value})
        found = found.order_by(*dict.fromkeys((sign + key, sign + tie)))
        return list(found[self.offset :] if self.fetched is None else found[self.offset : self.offset + self.fetched])

    def picked(self, found: Iterable[Any]) -> list[Any]:
        """The same of rows that are made as a whole, dicts or objects: short lists put together in Python."""
        key, tie = self.key, self.listing.tie

        def place(row: Any) -> tuple[Any, Any]:
            return key.read(key.value_of(row)), tie.read(tie.value_of(row))

        rows = sorted(found, key=place, reverse=self.is_descending)
        if self.after is not None:
            rows = [row for row in rows if (place(row) < self.after if self.is_descending else place(row) > self.after)]
        return rows[self.offset :] if self.fetched is None else rows[self.offset : self.offset + self.fetched]

    def condition(self) -> list[str]:
        """The same as conditions of SQL; their parameters are in `parameters`."""
        if self.after is None:
            return []
        key, tie, beyond = self.key.column, self.listing.tie.column, "<" if self.is_descending else ">"
        if key == tie:
            return [f"{tie} {beyond} %(page_tie)s"]
        return [f"({key}, {tie}) {beyond} (%(page_value)s, %(page_tie)s)"]

    def order(self) -> str:
        """ORDER BY of SQL."""
        way = "DESC" if self.is_descending else "ASC"
        columns = dict.fromkeys((self.key.column, self.listing.tie.column))
        return " ORDER BY " + ", ".join(f"{column} {way}" for column in columns)

    def tail(self) -> str:
        """ORDER BY, LIMIT and OFFSET of SQL."""
        return f"{self.order()} LIMIT %(page_limit)s OFFSET %(page_offset)s"

    def parameters(self) -> dict[str, Any]:
        value, tie = self.after or (None, None)
        return {"page_value": value, "page_tie": tie, "page_limit": self.fetched, "page_offset": self.offset}

    def cursor_after(self, row: Any) -> str:
        """The cursor of the page that begins after `row`."""
        place = [self.sort, self.key.value_of(row), self.listing.tie.value_of(row)]
        return _signer(self.path).sign_object(place)


def read(request: Any, listing: Listing) -> Window:
    """What a request wants; raises `InvalidInput` for a wrong limit, offset, sort or total, and a foreign cursor."""
    wanted = query.choice(request, "sort", listing.sorts)
    limit = query.integer(request, "limit", least=1, most=query.LIMIT_MAX)
    offset = query.integer(request, "offset", most=query.OFFSET_MAX)
    token = query.text(request, "cursor", length_max=CURSOR_LENGTH_MAX)
    sort, after = wanted or listing.default, None
    if token is not None:
        if offset is not None:
            raise InvalidInput({"offset": "cannot be given together with cursor"})
        sort, after = _place(token, request.path_info, listing)
        if wanted not in (None, sort):
            raise InvalidInput({"sort": f"is not that of the cursor ({sort})"})
    if limit is None:
        limit = query.LIMIT_DEFAULT if after is not None else listing.limit_default
    return Window(
        listing=listing,
        path=request.path_info,
        sort=sort,
        limit=limit,
        offset=offset or 0,
        after=after,
        wants_total=query.flag(request, "total") or False,
    )


def respond(
    request: Any,
    window: Window,
    found: Sequence[Any],
    *,
    wire: Callable[[Sequence[Any]], list[Any]],
    total: Callable[[], int],
) -> Response:
    """The page as a JSON list. `found` is what `window` said to read, `total` counts without its place and limit."""
    shown = found if window.limit is None else found[: window.limit]
    response = Response(wire(shown))
    if len(found) > len(shown):
        response["Link"] = f'<{_next(request, window, shown[-1])}>; rel="next"'
    if window.wants_total:
        response[TOTAL_HEADER] = str(total())
    return response


def listed(request: Any, listing: Listing, rows: QuerySet[Any], *, wire: Callable[[Any], Any]) -> Response:
    """A page of a query set, each row by itself."""
    window = read(request, listing)
    return respond(
        request, window, window.rows(rows), wire=lambda page: [wire(row) for row in page], total=lambda: rows.count()
    )


def _signer(path: str) -> Signer:
    return Signer(salt=f"nexgent.api.cursor:{path}")


def _place(token: str, path: str, listing: Listing) -> tuple[str, tuple[Any, Any]]:
    try:
        sort, value, tie = _signer(path).unsign_object(token)
        key = listing.keys[sort.removeprefix("-")]
        return sort, (key.read(value), listing.tie.read(tie))
    except (BadSignature, ValueError, KeyError) as problem:
        raise InvalidInput({"cursor": "is not a cursor of this list"}) from problem


def _next(request: Any, window: Window, last: Any) -> str:
    given = request.query_params.copy()
    given.pop("offset", None)
    given["cursor"] = window.cursor_after(last)
    return f"{request.path_info}?{given.urlencode()}"
