"""The processes of the product and how each is started: one table for the supervisor, and for the tests that keep
`Procfile` and `compose.yaml` equal to it."""

import shlex
import sys

_WORKER = (
    "celery -A nexgent worker -Q {queue} -P threads -c {threads} -n {queue}@%h"
    " --without-gossip --without-mingle --without-heartbeat"
)

COMMANDS = {
    "web": "python manage.py web",
    "exits": _WORKER.format(queue="exits", threads=4),
    "entries": _WORKER.format(queue="entries", threads=4),
    "prices": _WORKER.format(queue="prices", threads=8),
    "default": _WORKER.format(queue="default", threads=8),
    "beat": "celery -A nexgent beat",
}


def kind_of(words: list[str]) -> str:
    """Which process a command line starts: one of ours, or "command"."""
    if "celery" in words[0] and "beat" in words:
        return "beat"
    if "celery" in words[0] and "worker" in words:
        return words[words.index("-Q") + 1] if "-Q" in words else "default"
    return "web" if words[1:2] == ["web"] and words[0].endswith("manage.py") else "command"


def argv(name: str) -> list[str]:
    """The words that start a process with this interpreter; no scripts, their first line has a length limit."""
    program, *words = shlex.split(COMMANDS[name])
    return [sys.executable, *(["-m", "celery"] if program == "celery" else []), *words]
