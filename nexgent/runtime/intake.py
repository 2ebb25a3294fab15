"""What a request may cost before it is one: it arrives whole within a time, and no body is larger than a limit.

Twisted's own time-out begins anew with every byte, so that a client that sends one byte a second holds a connection for
ever; and a body without a length is kept until it ends, however long it is. Both are cut here, before any view.
"""

from typing import Any

import daphne.http_protocol
from twisted.internet import reactor
from twisted.web import http

from nexgent.api.errors import body_of
from nexgent.api.rendering import dumps
from nexgent.events import limits

_ANSWERS = {
    408: (b"Request Timeout", "REQUEST_TIMEOUT", "The request did not arrive in time."),
    413: (b"Payload Too Large", "PAYLOAD_TOO_LARGE", "The body is too large."),
}


def answer(status: int) -> bytes:
    """A whole answer that ends its connection."""
    reason, code, sentence = _ANSWERS[status]
    body = dumps(body_of(code, sentence, None, ""))
    head = b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % (status, reason, len(body))
    return head + b"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n" + body


class Channel(http.HTTPChannel):  # type: ignore[misc]
    """A connection that gives each request `REQUEST_SECONDS` from its first to its last byte."""

    _deadline: Any = None
    is_refused = False

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  (Twisted's name)
        if self.is_refused:
            return
        if self._deadline is None:
            self._deadline = (self.callLater or reactor.callLater)(limits.REQUEST_SECONDS, self.refuse, 408)
        super().dataReceived(data)

    def allContentReceived(self) -> None:  # noqa: N802
        self._forget()
        super().allContentReceived()

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        self._forget()
        super().connectionLost(reason)

    def refuse(self, status: int) -> None:
        """Answer and end the connection; what still comes is not read."""
        self._forget()
        self.is_refused = True
        self.transport.write(answer(status))
        self.loseConnection()

    def _forget(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None


class Factory(daphne.http_protocol.HTTPFactory):  # type: ignore[misc]
    """Daphne's connections with our channel inside."""

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        protocol = super().buildProtocol(addr)
        protocol._channel.__class__ = Channel  # the same object with two more rules: it is already wired up
        return protocol


class Measured:
    """Mixin of a request: counts its body as it comes."""

    _received = 0

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        if length is not None and length > limits.BODY_BYTES_MAX:
            self.channel.refuse(413)  # type: ignore[attr-defined]
        super().gotLength(length)  # type: ignore[misc]

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        self._received += len(data)
        channel = self.channel  # type: ignore[attr-defined]
        if self._received > limits.BODY_BYTES_MAX and not channel.is_refused:
            channel.refuse(413)
        if not channel.is_refused:
            super().handleContentChunk(data)  # type: ignore[misc]
