"""WebSocket routes."""

from typing import Any

from nexgent.events import consumers
from nexgent.events.consumers import Receive
from nexgent.events.transport import Send

_ROUTES = {"/ws": consumers.agent_socket, "/ws/": consumers.agent_socket, "/ws/ui/": consumers.ui_socket}


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """The socket application; an unknown path is refused before accept."""
    route = _ROUTES.get(scope["path"])
    if route is None:
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    await route(scope, receive, send)
