"""The strategies of the demo agents: what each differs in from the defaults, in wire names."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Strategy:
    """One demo agent: a key that never changes, its first name, its SOL, its partial configuration."""

    key: str
    name: str
    sol: Decimal
    config: dict[str, Any]


def _config(**sections: dict[str, Any]) -> dict[str, Any]:
    """Sizes and limits that all share: many small positions of a wallet that is not spent at once."""
    shared: dict[str, Any] = {
        "purchaseLimits": {"minimumAgentBalance": 0.5, "maxPurchasePerToken": 2, "maxPriceImpact": 0.05},
        "positionCalculator": {
            "positionSizes": {
                "small": {"min": 0.1, "max": 0.2},
                "medium": {"min": 0.4, "max": 0.8},
                "large": {"min": 0.8, "max": 1.5},
            }
        },
        "staleTrade": {"enabled": False},
        "tokenGate": {"refuseFlagged": True},
    }
    return shared | sections


STRATEGIES = (
    Strategy(
        "fixed-stop",
        "Fixed stop",
        Decimal(20),
        _config(
            stopLoss={"enabled": True, "mode": "fixed", "defaultPercentage": -10},
            takeProfit={
                "enabled": True,
                "mode": "custom",
                "levels": [{"targetPercent": 30, "sellPercent": 100}],
                "moonBag": {"enabled": False},
            },
        ),
    ),
    Strategy(
        "trailing-zones",
        "Trailing zones",
        Decimal(20),
        _config(stopLoss={"enabled": True, "mode": "zones", "defaultPercentage": -15}),
    ),
    Strategy(
        "ladder-aggressive",
        "Ladder, aggressive",
        Decimal(20),
        _config(
            stopLoss={"enabled": True, "mode": "exponential", "defaultPercentage": -25},
            takeProfit={"enabled": True, "mode": "aggressive", "moonBag": {"enabled": True}},
            signals={"minScore": 2},
        ),
    ),
    Strategy(
        "buy-the-dip",
        "Buy the dip",
        Decimal(30),
        _config(
            stopLoss={"enabled": True, "mode": "fixed", "defaultPercentage": -45},
            dca={"enabled": True, "mode": "aggressive", "maxDCACount": 3, "cooldownSeconds": 30},
            takeProfit={"enabled": True, "mode": "moderate"},
            limits={"maxOpenPositions": 4},
        ),
    ),
    Strategy(
        "quick-and-flat",
        "Quick and flat",
        Decimal(10),
        _config(
            stopLoss={
                "enabled": True,
                "mode": "custom",
                "defaultPercentage": -8,
                "trailingLevels": [{"change": 40, "stopLoss": 30}, {"change": 15, "stopLoss": 8}],
            },
            staleTrade={"enabled": True, "minHoldTimeMinutes": 2, "minProfitPercent": -3, "maxProfitPercent": 6},
            protections={"cooldown": {"minutes": 2}},
        ),
    ),
)
