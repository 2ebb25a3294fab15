"""Whatever JSON a client sends, the configuration is accepted or refused with paths; it never breaks, and compiles."""

import json
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from agents import config
from agents.config import DEFAULTS
from agents.policy import compile_policy

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.decimals()
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner)
)
PATHS = [(section, name) for section, fields in DEFAULTS.items() for name in fields] + [
    (section, None) for section in DEFAULTS
]


@settings(max_examples=200, deadline=None)
@given(path=st.sampled_from(PATHS), value=anything)
def test_any_value_at_any_place_is_answered_with_paths_or_compiles(path, value):
    section, name = path
    merged = config.merge(DEFAULTS, {section: value if name is None else {name: value}})

    problems = config.validate(merged)

    assert all(problem.path.split(".")[0] == section for problem in problems)
    if not problems:
        stored = config.canonical(config.with_defaults(merged))
        assert json.loads(json.dumps(stored, allow_nan=False)) == stored
        assert compile_policy(stored) == compile_policy(merged)


@settings(max_examples=100, deadline=None)
@given(st.floats(min_value=1e-6, max_value=1e6))
def test_a_number_keeps_its_shortest_text_on_the_way_to_the_rules(value):
    data = config.merge(DEFAULTS, {"staleTrade": {"minProfitPercent": -value, "maxProfitPercent": value}})

    assert config.validate(data) == []
    assert compile_policy(config.canonical(data)).stale.max_profit_percent == Decimal(repr(value))
