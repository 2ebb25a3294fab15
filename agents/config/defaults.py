"""The configuration of an agent that was never configured, complete and in wire names."""

from types import MappingProxyType
from typing import Any, Final

_DEFAULTS: dict[str, Any] = {
    "purchaseLimits": {"minimumAgentBalance": 0.5, "maxPurchasePerToken": 2, "maxPriceImpact": 0.05},
    "signals": {
        "minScore": 1,
        "allowedSignalTypes": [],
        "tokenFilterMode": "none",
        "tokenList": [],
        "allowedSources": [],
        "followSell": False,
    },
    "stopLoss": {"enabled": True, "defaultPercentage": -32, "mode": "fixed", "trailingLevels": []},
    "positionCalculator": {
        "solBalanceThresholds": {"minimum": 0.2, "medium": 5, "large": 10},
        "positionSizes": {
            "small": {"min": 0.1, "max": 0.1},
            "medium": {"min": 0.5, "max": 1},
            "large": {"min": 1.5, "max": 2},
        },
        "randomization": {"enabled": True},
    },
    "staleTrade": {"enabled": True, "minHoldTimeMinutes": 60, "minProfitPercent": 1, "maxProfitPercent": 10},
    "dca": {"enabled": False, "mode": "moderate", "levels": [], "maxDCACount": 3, "cooldownSeconds": 30},
    "takeProfit": {
        "enabled": False,
        "mode": "moderate",
        "levels": [
            {"targetPercent": 50, "sellPercent": 25},
            {"targetPercent": 150, "sellPercent": 25},
            {"targetPercent": 300, "sellPercent": 25},
            {"targetPercent": 400, "sellPercent": 15},
        ],
        "moonBag": {"enabled": True, "triggerPercent": 300, "retainPercent": 10},
    },
    "limits": {"maxOpenPositions": 25, "maxExposureSol": None, "maxExposurePerTokenSol": None},
    "protections": {
        "cooldown": None,
        "stopLossGuard": None,
        "maxDrawdown": None,
        "lowProfitToken": None,
        "dailyLoss": None,
    },
    "tokenGate": {
        "requireMintAuthorityDisabled": False,
        "requireFreezeAuthorityDisabled": False,
        "refuseFlagged": False,
        "maxAgeSeconds": None,
    },
}
DEFAULTS: Final = MappingProxyType(_DEFAULTS)
"""Read-only at the top; copy it deeply before changing anything (`merging.with_defaults(None)` does)."""
