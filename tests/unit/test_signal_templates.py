"""What a template makes of a message, to the letter."""

from decimal import Decimal
from typing import Any

import pytest

from nexgent.errors import InvalidInput
from signals.templates import problems_of, signal_of

MESSAGE = {
    "ticker": "Mint",
    "strategy": {"order": {"action": "SELL", "contracts": Decimal("1.5")}},
    "tags": ["a", {"b": "{{ticker}}"}],
    "strong": True,
    "score": "4",
    "empty": None,
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ({}, MESSAGE),
        ({"tokenAddress": "{{ticker}}"}, {"tokenAddress": "Mint"}),
        ({"tokenAddress": " {{ ticker }} "}, {"tokenAddress": "Mint"}),
        ({"signalType": "TV {{tags.0}}-{{strategy.order.contracts}}"}, {"signalType": "TV a-1.5"}),
        ({"activationReason": "{{tags.1.b}}"}, {"activationReason": "{{ticker}}"}),
        ({"signalStrength": "{{score}}"}, {"signalStrength": 4}),
        ({"signalStrength": 3}, {"signalStrength": 3}),
        ({"symbol": 7}, {"symbol": "7"}),
        ({"dryRun": "{{strong}}"}, {"dryRun": True}),
        ({"dryRun": "true"}, {"dryRun": True}),
        ({"side": {"from": "{{strategy.order.action}}", "map": {"SELL": "sell"}}}, {"side": "sell"}),
        ({"side": {"from": "{{ticker}}", "map": {"x": "sell"}, "default": "buy"}}, {"side": "buy"}),
        ({"side": {"from": "{{nothing}}", "default": "buy"}}, {"side": "buy"}),
        ({"symbol": {"from": "{{strong}}", "map": {"true": "UP"}}}, {"symbol": "UP"}),
    ],
)
def test_a_template_takes_values_from_their_places(template: Any, expected: Any) -> None:
    assert problems_of(template) == {}
    assert signal_of(template, MESSAGE) == expected


@pytest.mark.parametrize(
    "template",
    [
        {"side": "{{nothing}}"},
        {"side": "{{empty}}"},
        {"side": "{{tags.9}}"},
        {"side": "{{ticker.length}}"},
        {"side": "{{tags.__class__}}"},
        {"side": "{{ticker}} {{nothing}}"},
        {"side": {"from": "{{ticker}}", "map": {"x": "buy"}}},
    ],
)
def test_what_the_message_lacks_is_named(template: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        signal_of(template, MESSAGE)
    assert list(refused.value.problems) == ["side"]


@pytest.mark.parametrize("message", [[], "text", 7, None])
def test_a_message_is_an_object(message: Any) -> None:
    with pytest.raises(InvalidInput):
        signal_of({}, message)


@pytest.mark.parametrize(
    ("template", "field"),
    [
        ([], "template"),
        ({"price": 1}, "template.price"),
        ({"side": None}, "template.side"),
        ({"side": ["buy"]}, "template.side"),
        ({"side": {"map": {}}}, "template.side"),
        ({"side": {"from": "{{a}}", "else": 1}}, "template.side"),
        ({"side": {"from": "{{a}}", "map": {"b": {}}}}, "template.side"),
        ({"symbol": "x" * 1001}, "template.symbol"),
    ],
)
def test_what_is_no_template_is_named(template: Any, field: str) -> None:
    assert list(problems_of(template)) == [field]
