"""ASGI entry point: HTTP through Django, WebSockets through `nexgent.events`."""

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexgent.settings")

http = get_asgi_application()

from nexgent.events import routing  # noqa: E402  (models are ready only after the line above)

application = ProtocolTypeRouter({"http": http, "websocket": routing.application})
