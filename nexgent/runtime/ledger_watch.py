"""The periodic check of the books: every invariant that needs no scan of all postings, its result kept for metrics.

The database refuses what does not balance; this finds what got past it, such as a trigger that somebody switched off.
"""

import logging
import time

from django.db.models import Count

from nexgent import clock
from nexgent.events import alarms
from nexgent.runtime.models import BooksCheck
from trading import books
from trading.models import Order

log = logging.getLogger(__name__)
SUBJECT = "books"
PROBLEMS_MAX = 20


def check() -> BooksCheck:
    """Check, keep the result, and raise or clear the alarm `BOOKS_BROKEN`."""
    begun = time.perf_counter()
    report = books.check(deep=False)
    counted = Order.objects.values_list("side", "state").annotate(number=Count("id")).order_by("side", "state")
    orders = [list(row) for row in counted]
    result, _ = BooksCheck.objects.update_or_create(
        id=1,
        defaults={
            "at": clock.now(),
            "took_ms": round((time.perf_counter() - begun) * 1000),
            "is_balanced": report.balanced,
            "problems": report.as_json()["problems"][:PROBLEMS_MAX],
            "figures": {"entries": report.entries, **report.figures},
            "orders": orders,
        },
    )
    if report.balanced:
        alarms.clear("BOOKS_BROKEN", subject=SUBJECT, at=result.at)
    else:
        log.error("the books are broken: %s", result.problems)
        names = sorted({problem.invariant for problem in report.problems})
        alarms.raise_alarm("BOOKS_BROKEN", subject=SUBJECT, detail={"invariants": names}, at=result.at)
    return result
