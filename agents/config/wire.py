"""The form in which a configuration is stored and sent: JSON numbers with their exact decimal text."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from agents.config.fields import exact, json_number


def canonical(value: Any) -> Any:
    """A copy in which every number is the JSON number of its decimal value (2.0 becomes 2, Decimal("0.1") becomes 0.1).

    ValueError when a decimal has more digits than a JSON number keeps (validation refuses those first).
    """
    if isinstance(value, Mapping):
        return {name: canonical(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, float | Decimal):
        return json_number(exact(value))
    return value
