"""What a comparison of two configuration versions and a restored one look like in answers."""

from typing import Any

from pydantic import Field

from agents.shapes import ConfigShape
from nexgent.api.shapes import Shape, Uuid


class ConfigChangeShape(Shape):
    """One changed value; null where the version has none."""

    path: str = Field(examples=["stopLoss.mode"])
    before: Any
    after: Any


class ConfigDifferenceShape(Shape):
    agent_id: Uuid
    from_version: int = Field(alias="from")
    to_version: int = Field(alias="to")
    changes: list[ConfigChangeShape]


class RestoredShape(ConfigShape):
    """The new version, and the one its content came from."""

    restored_from: int
