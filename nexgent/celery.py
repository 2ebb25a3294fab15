"""The Celery application. Tasks are thin: they call a service and hold no state."""

import os
import sys
import time
import warnings
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import beat_init, before_task_publish, setup_logging, worker_ready

from nexgent.runtime import startup

startup.begin(sys.argv)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexgent.settings")
# `make check` has run them; in every worker they would cost a second of each start.
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")
# It warns every worker of root; only JSON is accepted, nothing is unpickled.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("nexgent")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _keep_our_logging(**_: Any) -> None:
    """A receiver is all it takes: Celery leaves logging alone, settings have configured it."""


@worker_ready.connect
@beat_init.connect
def _announce(**_: Any) -> None:
    """Other processes see this one in health (`nexgent.runtime.presence`)."""
    from nexgent.runtime import presence

    startup.end()
    presence.announce()


@before_task_publish.connect
def _stamp_message(headers: dict[str, Any], **_: Any) -> None:
    """A message says when it was sent, so that metrics can tell how long the oldest one waits."""
    headers["sentAt"] = time.time()
