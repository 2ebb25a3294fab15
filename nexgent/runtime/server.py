"""The web server process: daphne with what it lacks for this product.

Close reasons reach the client, a stream of events is no request that hangs, the access log goes through our logging
(and so through redaction), and on SIGTERM every socket is closed with 1000 "Server shutdown" before the process ends.
"""

import daphne.server  # installs the reactor: before anything else of Twisted  # isort: skip
import asyncio
import logging
import resource
from typing import Any

import daphne.http_protocol
from daphne.endpoints import build_endpoint_description_strings
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet import defer

from nexgent.runtime.intake import Factory, Measured

logger = logging.getLogger("nexgent.runtime.server")

FRAME_BYTES_MAX = 64 * 1024
HTTP_TIMEOUT_SECONDS = 60
"""Longer than the longest answer on purpose (45 s: a live trade that is waited for)."""
SHUTDOWN_REASON = "Server shutdown"
SHUTDOWN_SECONDS = 1.5
"""How long clients and requests in flight may take to finish; the supervisor waits longer."""
FLUSH_SECONDS = 0.1
"""What was answered last still lies in the process: it leaves with the next turns of the reactor."""
_QUIET_PATHS = ("/static/", "/health", "/api/v1/health")


class Socket(WebSocketProtocol):
    """A WebSocket that says why it closes."""

    def onOpen(self) -> None:  # noqa: N802  (Autobahn's name)
        self.failByDrop = False  # a frame too large gets its 1009, not a cut line
        super().onOpen()

    def handle_reply(self, message: dict[str, Any]) -> None:
        reason = message.get("reason")
        if message["type"] == "websocket.close" and reason and self.state != self.STATE_CONNECTING:
            self.sendClose(code=message.get("code") or 1000, reason=reason)
            return
        super().handle_reply(message)


class Request(Measured, daphne.http_protocol.WebRequest):
    """A request; one that answers with a stream of events lives as long as its client."""

    def is_stream(self) -> bool:
        kinds = self.responseHeaders.getRawHeaders(b"content-type") or [b""]
        return bool(self._response_started and kinds[0].startswith(b"text/event-stream"))

    def check_timeouts(self) -> None:
        if not self.is_stream():
            super().check_timeouts()


class Server(daphne.server.Server):
    """Daphne's server with an orderly end."""

    failure = ""

    def listen_success(self, port: Any) -> None:
        self.ports = [*getattr(self, "ports", []), port]
        super().listen_success(port)

    def listen_error(self, failure: Any) -> None:
        self.failure = failure.getErrorMessage()
        self.stop()

    def sockets(self) -> list[Socket]:
        """The open WebSockets."""
        known = list(self.connections) if hasattr(self, "connections") else []
        return [one for one in known if isinstance(one, Socket) and one.state == one.STATE_OPEN]

    def kill_all_applications(self) -> defer.Deferred[None]:
        """What runs before the reactor ends: no new connection, sockets closed by name, requests finished."""
        for port in getattr(self, "ports", []):
            port.stopListening()
        return defer.Deferred.fromFuture(asyncio.ensure_future(self._finish()))

    async def _finish(self) -> None:
        closing = self.sockets()
        for socket in closing:
            socket.sendClose(code=1000, reason=SHUTDOWN_REASON)
        loop = asyncio.get_running_loop()
        end = loop.time() + SHUTDOWN_SECONDS
        while loop.time() < end and (self._working() or any(one.state != one.STATE_CLOSED for one in closing)):
            await asyncio.sleep(0.02)
        await asyncio.sleep(FLUSH_SECONDS)
        left = [details["application_instance"] for details in self._with_application()]
        for application in left:
            application.cancel()
        await asyncio.wait(left, timeout=0.5) if left else None
        logger.info("web server stopped: %d sockets closed, %d applications cancelled", len(closing), len(left))

    def _with_application(self) -> list[dict[str, Any]]:
        return [
            details
            for details in self.connections.values()
            if "application_instance" in details and not details["application_instance"].done()
        ]

    def _working(self) -> bool:
        """Whether a request is being answered that will end by itself."""
        return any(
            isinstance(one, Request) and not one.is_stream() and not one.finished
            for one, details in self.connections.items()
            if "application_instance" in details and not details["application_instance"].done()
        )


def _log(protocol: str, action: str, details: dict[str, Any]) -> None:
    """One line per request or socket; the path's query is redacted like everything else that is logged."""
    level = logging.DEBUG if str(details["path"]).startswith(_QUIET_PATHS) else logging.INFO
    if protocol == "http":
        taken = round(details["time_taken"] * 1000, 1)
        logger.log(level, "%s %s %s %sms", details["method"], details["path"], details["status"], taken)
    else:
        logger.log(level, "socket %s %s", action, details["path"])


def raise_file_limit() -> int:
    """Let this process open as many files as its user may, since each client is one; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def build(application: Any, *, host: str, port: int) -> Server:
    """A server that listens on one address; `run()` blocks until SIGTERM or SIGINT."""
    raise_file_limit()
    WebSocketFactory.protocol = Socket
    daphne.http_protocol.WebRequest = Request
    daphne.server.HTTPFactory = Factory
    return Server(
        application,
        endpoints=build_endpoint_description_strings(host=host, port=port),
        action_logger=_log,
        http_timeout=HTTP_TIMEOUT_SECONDS,
        websocket_timeout=-1,  # sockets end by their own rules, not by age
        websocket_max_message_size=FRAME_BYTES_MAX,
        websocket_max_frame_size=FRAME_BYTES_MAX,
        server_name="",
    )
