"""`manage.py web`: HTTP, API, WebSocket and SSE in one process."""

from typing import Any

from channels.routing import get_default_application
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import get_resolver

from nexgent.events import hub
from nexgent.runtime import presence, startup


class Command(BaseCommand):
    help = "Runs the web server process."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.ENV.host, help="address to listen on (HOST)")
        parser.add_argument("--port", type=int, default=settings.ENV.port, help="port to listen on (PORT)")

    def handle(self, *_args: Any, host: str, port: int, **_options: Any) -> None:
        from nexgent.runtime import server  # installs Twisted's reactor, which only this process wants

        application = get_default_application()
        _ = get_resolver().url_patterns  # every route imported now, not by the first visitor
        web = server.build(application, host=host, port=port)
        startup.end()
        presence.announce(lambda: {"sockets": len(web.sockets()), **hub.state()})
        web.run()
        if web.failure:
            raise CommandError(f"The web server cannot listen on {host}:{port}: {web.failure}")
