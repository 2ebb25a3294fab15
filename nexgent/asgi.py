"""ASGI entry point: HTTP through Django, WebSockets through `nexgent.events`."""

import os

import django
from channels.routing import ProtocolTypeRouter

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexgent.settings")

django.setup(set_prefix=False)

from nexgent.events import routing  # noqa: E402  (models are ready only after the line above)
from nexgent.runtime.requests import ThreadedHandler  # noqa: E402

http = ThreadedHandler()
application = ProtocolTypeRouter({"http": http, "websocket": routing.application})
