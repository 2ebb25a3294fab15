"""Structured logs: one line per event, JSON in production, readable in development, secrets taken out of both.

Any module logs with `logging.getLogger(__name__)` or `structlog.get_logger()`. Code that works on a trade binds its ids
once, and every line written below carries them, whoever writes it:

    with structlog.contextvars.bound_contextvars(order_id=order.id, position_id=order.position_id): ...
"""

import logging
import logging.config
import sys
from collections.abc import Sequence
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from nexgent.runtime.redaction import Redactor

TRADE_IDS = ("workspace_id", "agent_id", "signal_id", "order_id", "position_id", "request_id")
"""Fields that stand first in a readable line, in this order."""

_QUIET = {
    "daphne": "WARNING",
    "httpx": "WARNING",
    "httpcore": "WARNING",
    "asyncio": "WARNING",
    "kombu": "WARNING",
    "celery.beat": "WARNING",
    "celery.app.trace": "WARNING",
    "celery.worker.strategy": "WARNING",
    "django_celery_beat": "WARNING",
    "psycopg.pool": "WARNING",
}


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """structlog's formatter with redaction as its very last step, tracebacks included."""

    redactor = Redactor()

    def format(self, record: logging.LogRecord) -> str:
        return self.redactor.text(super().format(record))


class _StandardError(logging.Handler):
    """Writes to whatever standard error is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except Exception:
            self.handleError(record)  # a line that cannot be written stops nothing: logging's own rule


def configure(*, level: str, form: str, process: str, secrets: Sequence[str] = ()) -> None:
    """Set logging up for this process; `form` is "json" or "text". May be called again."""
    redactor = Redactor(secrets)

    def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return redactor.record(event)  # type: ignore[no-any-return]

    def name_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if form == "json":
        last += [
            name_process,
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(default=str),
        ]
    else:
        last += [structlog.processors.format_exc_info, redact, _readable]
    formatter = _Formatter(foreign_pre_chain=shared, processors=last)
    formatter.redactor = redactor
    handler = _StandardError()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [known for known in root.handlers if isinstance(known, _StandardError)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(True)
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel("DEBUG" if level == "DEBUG" else quiet)
    # Below it, a name that a template misses repeats all facts of the page.
    logging.getLogger("django.template").setLevel("INFO")


def _readable(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """`12:00:00.000 warning  trading.engine.exits  text  order_id=…` and the traceback below."""
    time = str(event.pop("timestamp", ""))[11:23]
    level = str(event.pop("level", ""))
    name = str(event.pop("logger", ""))
    text = str(event.pop("event", ""))
    trace = event.pop("exception", "")
    ids = {key: event.pop(key) for key in TRADE_IDS if key in event}
    fields = " ".join(f"{key}={value}" for key, value in {**ids, **event}.items())
    line = " ".join(word for word in (time, f"{level:<7}", name, text, fields) if word)
    return f"{line}\n{trace}" if trace else line
