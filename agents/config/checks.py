"""Whether a configuration is valid, and what a person should think about although it is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from agents import templates
from agents.config.fields import OUT_OF_RANGE, TYPES_ONLY
from agents.config.merging import RETIRED, with_defaults
from agents.config.schema import Section, TradingConfig
from nexgent.errors import Refusal

ROOT = "(root)"
WHITELIST = "whitelist"
_MESSAGES = {"missing": "Required", "extra_forbidden": "Unknown key", "model_type": "Must be an object"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding: the dotted path in wire names (`takeProfit.levels.2`) and a sentence."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidConfig(Refusal):
    """A configuration that is refused; details are `["path: message"]`."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(
            "INVALID_CONFIG", "The trading configuration is not valid.", details=[str(problem) for problem in problems]
        )
        self.problems = problems


def validate(data: Any) -> list[Problem]:
    """Every problem of a complete configuration; empty when it is valid."""
    try:
        TradingConfig.model_validate(data)
        problems = []
    except ValidationError as failure:
        problems = [_problem(error) for error in failure.errors(include_url=False) if _counts(error, data)]
    return [*problems, *_broken_rules(TradingConfig, data, "")]


def parse(data: Any) -> TradingConfig:
    """The typed configuration; raises InvalidConfig."""
    problems = validate(data)
    if problems:
        raise InvalidConfig(problems)
    return TradingConfig.model_validate(data, context=TYPES_ONLY)  # levels of a preset may be out of bounds


def read(data: Any) -> TradingConfig:
    """A stored configuration, typed and completed; bounds and rules were checked when it was saved."""
    try:
        return TradingConfig.model_validate(with_defaults(data), context=TYPES_ONLY)
    except ValidationError as failure:
        raise InvalidConfig([_problem(error) for error in failure.errors(include_url=False)]) from failure


def warnings(data: Mapping[str, Any], *, partial: Mapping[str, Any] | None = None) -> list[Problem]:
    """What a valid configuration probably does not mean; `partial` is the update it came from, if any."""
    config = read(data)
    found = [*_retired(data, partial)]
    if config.signals.token_filter_mode == WHITELIST and not config.signals.token_list:
        found.append(Problem("signals.tokenList", "The whitelist is empty: no token will ever be bought"))
    found += _unreachable_sizes(config)
    found += _unreachable_dca(config)
    found += _unused_bag(config)
    return found


def _retired(*sources: Mapping[str, Any] | None) -> Iterator[Problem]:
    sections = (source.get("stopLoss") for source in sources if source)
    if any(isinstance(section, Mapping) and RETIRED in section for section in sections):
        yield Problem(f"stopLoss.{RETIRED}", "No longer a setting: every stop trails; the key is dropped")


def _unreachable_sizes(config: TradingConfig) -> Iterator[Problem]:
    reserve, thresholds = (
        config.purchase_limits.minimum_agent_balance,
        config.position_calculator.sol_balance_thresholds,
    )
    if reserve >= thresholds.large:
        yield Problem("purchaseLimits.minimumAgentBalance", "The reserve is above every threshold of position sizes")
    elif reserve >= thresholds.medium:
        yield Problem("purchaseLimits.minimumAgentBalance", "The reserve is above the threshold of medium positions")


def _unreachable_dca(config: TradingConfig) -> Iterator[Problem]:
    if not (config.dca.enabled and config.stop_loss.enabled):
        return
    stop = config.stop_loss.default_percentage
    message = f"Deeper than the stop at {stop} %: it can never buy"
    if config.dca.mode != templates.CUSTOM:
        if any(level.drop_percent <= stop for level in templates.DCA[config.dca.mode]):
            yield Problem("dca.mode", message)
        return
    for index, level in enumerate(config.dca.levels):
        if level.drop_percent <= stop:
            yield Problem(f"dca.levels.{index}", message)


def _unused_bag(config: TradingConfig) -> Iterator[Problem]:
    ladder = config.take_profit
    if ladder.enabled and ladder.mode != templates.CUSTOM and not ladder.moon_bag.enabled:
        message = f"Mode {ladder.mode} has its own moon bag; only mode custom can do without"
        yield Problem("takeProfit.moonBag.enabled", message)


def _counts(error: ErrorDetails, data: Mapping[str, Any]) -> bool:
    """In a preset mode the stored ladder is not used: its levels are checked for their types alone."""
    if error["type"] != OUT_OF_RANGE or error["loc"][:2] != ("takeProfit", "levels"):
        return True
    return data["takeProfit"].get("mode") not in templates.LADDERS


def _problem(error: ErrorDetails) -> Problem:
    path = ".".join(str(part) for part in error["loc"])
    return Problem(path or ROOT, _MESSAGES.get(error["type"], error["msg"]))


def _broken_rules(model: type[Section], data: Any, prefix: str) -> Iterator[Problem]:
    """Cross-field rules of every section whose types are right, whatever is wrong elsewhere."""
    if not isinstance(data, Mapping):
        return
    try:
        section = model.model_validate(data, context=TYPES_ONLY)
    except ValidationError:
        pass  # reported by the field checks; the sections inside may still speak
    else:
        yield from (Problem((prefix + path).rstrip("."), message) for path, message in section.rules())
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _broken_rules(field.annotation, data.get(field.alias), f"{prefix}{field.alias}.")
