"""What health looks like in answers (`nexgent.api.shapes`)."""

from typing import Literal

from nexgent.api.shapes import Number, Object, Shape, Stamp


class LiveShape(Shape):
    alive: Literal[True]
    timestamp: Stamp
    uptime: Number


class ReadyShape(Shape):
    ready: bool
    timestamp: Stamp
    checks: dict[str, bool]


class HealthShape(Shape):
    status: Literal["healthy", "degraded", "unhealthy"]
    timestamp: Stamp
    uptime: Number
    services: dict[str, Object]
