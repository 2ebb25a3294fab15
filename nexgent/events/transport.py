"""The last step to a client: daphne's protocols behind the ASGI `send`, written to at once and without a task.

ASGI does not tell how much a client has not taken yet nor the reason of a close, and daphne's `send` buffers without
limit. Twisted knows: it pauses a registered producer when more than 64 KiB wait and resumes it when all is written. A
`Wire` is one client: a WebSocket, whose frames are built once for all sockets that get the same text, or an HTTP
answer that is a stream of events.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

Send = Callable[[dict[str, Any]], Awaitable[None]]
_REASON_BYTES = 123  # RFC 6455: a control frame carries at most 125 bytes, two of them the code
_FINAL_TEXT = 0x81


class Wire(Protocol):
    """Where the texts of one client go. All methods belong to the event loop's thread."""

    def watch(self, *, on_pause: Callable[[], None], on_resume: Callable[[], None]) -> None:
        """Call `on_pause` when 64 KiB wait for the client and `on_resume` when all is written."""

    def write(self, text: str) -> None:
        """Send a text; nothing when the client is gone."""

    def close(self, *, code: int, reason: str) -> None:
        """End the connection; the codes are those of WebSockets."""


@implementer(IPushProducer)
class _Pressure:
    def __init__(self, on_pause: Callable[[], None], on_resume: Callable[[], None]) -> None:
        self.pauseProducing = on_pause
        self.resumeProducing = on_resume

    def stopProducing(self) -> None:  # noqa: N802  (Twisted's name)
        self.pauseProducing = self.resumeProducing = _nothing


def _nothing() -> None:
    """A lost connection has no pressure."""


class SocketWire:
    """An accepted WebSocket of daphne."""

    _last: tuple[str, bytes] = ("", b"")
    """The newest text and its frame: a text goes to all sockets of an agent one after the other."""

    def __init__(self, send: Send) -> None:
        self._protocol = _behind(send)

    def watch(self, *, on_pause: Callable[[], None], on_resume: Callable[[], None]) -> None:
        if self._protocol.transport is not None:
            self._protocol.unregisterProducer()  # the HTTP channel that the upgrade left behind
            self._protocol.registerProducer(_Pressure(on_pause, on_resume), True)

    def write(self, text: str) -> None:
        protocol = self._protocol
        if protocol.state != protocol.STATE_OPEN:
            return
        known, frame = SocketWire._last
        if known is not text:
            frame = _frame(text)
            SocketWire._last = (text, frame)
        if protocol.send_queue:  # something is being written in parts: behind it
            protocol.sendMessage(text.encode(), False)
        else:
            protocol.transport.write(frame)

    def close(self, *, code: int, reason: str) -> None:
        if self._protocol.state == self._protocol.STATE_OPEN:
            text = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
            self._protocol.sendCloseFrame(code=code, reasonUtf8=text.encode(), isReply=False)


class StreamWire:
    """An HTTP answer of daphne that has begun; a close ends it."""

    def __init__(self, send: Send) -> None:
        self._request = _behind(send)

    def watch(self, *, on_pause: Callable[[], None], on_resume: Callable[[], None]) -> None:
        if self._is_open():
            self._request.registerProducer(_Pressure(on_pause, on_resume), True)

    def write(self, text: str) -> None:
        if self._is_open():
            self._request.write(text.encode())

    def close(self, *, code: int, reason: str) -> None:
        if self._is_open():
            self._request.unregisterProducer()
            self._request.handle_reply({"type": "http.response.body", "body": b"", "more_body": False})

    def _is_open(self) -> bool:
        return not self._request.finished and self._request.channel is not None


def _behind(send: Send) -> Any:
    """The protocol that daphne's `send` writes to."""
    if not isinstance(send, partial) or not send.args:
        raise TypeError("live connections need daphne: start the web process with manage.py web")
    return send.args[0]


def _frame(text: str) -> bytes:
    """A whole text message as RFC 6455 puts it on the wire: final, unmasked, uncompressed."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        head = bytes((_FINAL_TEXT, size))
    elif size < 65_536:
        head = bytes((_FINAL_TEXT, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((_FINAL_TEXT, 127)) + size.to_bytes(8, "big")
    return head + payload
