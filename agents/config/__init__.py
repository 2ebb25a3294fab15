"""The trading configuration: schema, defaults, merging, checks."""

from agents.config.checks import InvalidConfig, Problem, parse, read, validate, warnings
from agents.config.defaults import DEFAULTS
from agents.config.fields import is_storable
from agents.config.merging import merge, with_defaults
from agents.config.schema import TradingConfig
from agents.config.wire import canonical

__all__ = [
    "DEFAULTS",
    "InvalidConfig",
    "Problem",
    "TradingConfig",
    "canonical",
    "is_storable",
    "merge",
    "parse",
    "read",
    "validate",
    "warnings",
    "with_defaults",
]
