"""What ASGI does not tell: how much a socket has not taken yet, and the reason of a close.

daphne's `send` returns at once and buffers without limit, and its close drops the reason (and refuses codes such as
1008). Both are one step away, at the autobahn protocol behind the `send` callable: Twisted pauses a registered
producer when more than 64 KiB wait and resumes it when all is written. Other servers wait inside `send`, which the
outlet notices by itself.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

Send = Callable[[dict[str, Any]], Awaitable[None]]
_REASON_BYTES = 123  # RFC 6455: a control frame carries at most 125 bytes, two of them the code


def protocol_behind(send: Send) -> Any:
    """daphne's WebSocket protocol that this `send` writes to; None under another server."""
    if isinstance(send, partial) and send.args and hasattr(send.args[0], "sendCloseFrame"):
        return send.args[0]
    return None


@implementer(IPushProducer)
class _Pressure:
    def __init__(self, on_pause: Callable[[], None], on_resume: Callable[[], None]) -> None:
        self.pauseProducing = on_pause
        self.resumeProducing = on_resume

    def stopProducing(self) -> None:  # noqa: N802  (Twisted's name)
        self.pauseProducing = self.resumeProducing = _nothing


def _nothing() -> None:
    """A lost connection has no pressure."""


def watch_pressure(send: Send, *, on_pause: Callable[[], None], on_resume: Callable[[], None]) -> None:
    """Call `on_pause` when 64 KiB wait for the client and `on_resume` when all is written; nothing elsewhere."""
    protocol = protocol_behind(send)
    if protocol is not None and protocol.transport is not None:
        protocol.unregisterProducer()  # the HTTP channel that the upgrade left behind
        protocol.registerProducer(_Pressure(on_pause, on_resume), True)


async def close(send: Send, *, code: int, reason: str) -> None:
    """Close an accepted socket with code and reason."""
    protocol = protocol_behind(send)
    if protocol is None:
        await send({"type": "websocket.close", "code": code, "reason": reason})
    elif protocol.state == protocol.STATE_OPEN:
        text = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        protocol.sendCloseFrame(code=code, reasonUtf8=text.encode(), isReply=False)
