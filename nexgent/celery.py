"""The Celery application. Tasks are thin: they call a service and hold no state."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexgent.settings")

app = Celery("nexgent")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
