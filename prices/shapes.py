"""What prices look like in answers (`nexgent.api.shapes`)."""

from pydantic import Field

from nexgent.api.shapes import Shape, Stamp


class SolUsdShape(Shape):
    price: str | None = Field(pattern=r"^[0-9]+\.[0-9]{8}$", description="USD per SOL, eight decimals.")
    last_updated: Stamp | None
    is_stale: bool
    source: str | None
