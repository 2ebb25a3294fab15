"""The documentation says what the code does: links resolve, tables are complete, pictures and figures are current.

`.env.example` has a test of its own beside the environment (`tests/unit/test_environment.py`).
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from agents import config
from agents.templates import DCA, LADDERS
from docs.draw_curves import CURVES, IMAGES
from nexgent.money import LAMPORTS_PER_SOL, units_for, value_lamports
from nexgent.runtime.environment import PROJECT_DIR
from trading.models import TRANSITIONS, State
from trading.rules import apply
from trading.rules.position import Sold

PAGES = sorted(
    path for folder in ("*.md", "docs/*.md", "docs/adr/*.md") for path in PROJECT_DIR.glob(folder) if path.is_file()
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def name_of(path: Path) -> str:
    return str(path.relative_to(PROJECT_DIR))


def text_of(name: str) -> str:
    return (PROJECT_DIR / name).read_text()


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_resolves(page):
    broken = []
    for target in LINK.findall(page.read_text()):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        if not found.exists() or (anchor and found.suffix == ".md" and anchor not in anchors(found)):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("name", CURVES)
def test_the_committed_picture_is_what_the_rules_draw(name):
    assert (IMAGES / name).read_text() == CURVES[name]().svg(), "draw them again: python -m docs.draw_curves"


def test_every_picture_of_the_rules_is_shown_and_every_other_one_is_known():
    shown = set(re.findall(r"images/([\w.-]+)", text_of("docs/concepts.md")))

    assert shown == set(CURVES)


def test_glossary_terms_are_unique_and_in_order():
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", text_of("docs/glossary.md"), re.M)
    terms = [term for term, _ in rows if term not in ("word", "---")]

    assert len(terms) > 60
    assert len(set(terms)) == len(terms)
    assert [re.sub(r" \(.*", "", term).lower() for term in terms] == sorted(
        re.sub(r" \(.*", "", term).lower() for term in terms
    )


def test_every_alarm_says_what_to_do():
    sources = [path for app in ("nexgent", "prices", "trading", "wallets", "agents", "signals") for path in _code(app)]
    raised = set()
    for source in sources:
        text = source.read_text()
        if "alarm" in text:
            raised |= set(re.findall(r"""(?:raise_alarm|_alarm|clear)\(\s*"([A-Z][A-Z_]+)\"""", text))
            raised |= set(re.findall(r"""^(?:CODE|UNTRADABLE) = "([A-Z_]+)\"""", text, re.M))

    explained = set(re.findall(r"^\| `([A-Z_]+)` \|", text_of("docs/operations.md"), re.M))
    assert explained == raised


def _code(app: str) -> list[Path]:
    return [path for path in (PROJECT_DIR / app).rglob("*.py") if "migrations" not in path.parts]


def test_every_route_of_the_api_is_described():
    described = text_of("docs/api.md")
    routes = re.findall(r'path\(API \+ "([^"]+)"', text_of("nexgent/urls.py"))
    firsts = {re.sub(r"<[^>]+>", ":", route).split("/:")[0] for route in routes}
    lasts = {route.rsplit("/", 1)[-1] for route in routes if not route.endswith(">")}

    assert len(routes) > 25
    assert sorted(first for first in firsts if f"/{first}" not in described) == []
    assert sorted(last for last in lasts if last not in described) == []


def test_every_key_of_a_configuration_is_described_with_its_default():
    rows = re.findall(
        r"^\| `([\w.\[\]]+)` \| [^|]+ \| (?:`([^`]*)`|([^|]*)) \|$", text_of("docs/configuration.md"), re.M
    )
    documented = {key: default for key, default, _ in rows}
    stored = dict(_leaves(config.DEFAULTS))

    assert sorted(stored) == sorted(key for key, default in documented.items() if default or key == "takeProfit.levels")
    for key, value in stored.items():
        assert key == "takeProfit.levels" or json.loads(documented[key]) == value, key
    described = "\n".join(documented) + text_of("docs/configuration.md")
    assert [name for name in _wire_names(config.TradingConfig) if name not in described] == []


def _leaves(section: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield path + name, value


def _wire_names(section: type[BaseModel]) -> Iterator[str]:
    for field in section.model_fields.values():
        yield field.alias or ""
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from _wire_names(inner)


def test_the_presets_are_those_of_the_code():
    page = text_of("docs/concepts.md")
    for name, preset in LADDERS.items():
        levels = ", ".join(f"{level.sell_percent} % at {level.target_percent}" for level in preset.levels)
        bag = f"{preset.bag_retain_percent} %"
        row = re.search(rf"^\| `{name}` \| {re.escape(levels)} \| (.+) \|$", page, re.M)
        assert row is not None, name
        assert row[1].startswith(bag)
        assert f"from {preset.bag_trigger_percent} on" in row[1]
    counts = {1: "once", 2: "two times", 3: "three times"}
    for name, steps in DCA.items():
        drop = str(steps[0].drop_percent).replace("-", "−")
        assert len(set(steps)) == 1
        assert f"| `{name}` | {counts[len(steps)]} {drop} %, {steps[0].buy_percent} % |" in page


def test_the_transitions_are_those_of_the_code():
    page = text_of("docs/architecture.md")
    final = ", ".join(state.label for state in State if not TRANSITIONS[state])

    assert f"| {final} | nothing: they are final |" in page
    for state, following in TRANSITIONS.items():
        if following:
            words = ", ".join(each.label for each in sorted(following))
            assert f"| {state.label} | {words} |" in page


def test_the_worked_example_is_what_the_rules_compute():
    at, decimals, deposit = datetime(2026, 1, 1, tzinfo=UTC), 6, 10 * LAMPORTS_PER_SOL
    fee_buy, fee_sale, rent = 105_000, 100_000, 2_039_280
    units = units_for(LAMPORTS_PER_SOL, Decimal("0.001"), decimals)
    position = apply.open_position(
        fill_lamports=LAMPORTS_PER_SOL,
        units=units,
        fee_lamports=fee_buy,
        rent_lamports=rent,
        decimals=decimals,
        at=at,
        default_stop_percent=Decimal(-32),
        ladder_length=0,
    )
    quarter = value_lamports(units // 4, Decimal("0.0015"), decimals) - fee_sale
    after = apply.apply(position, Sold(units // 4, quarter, at))
    rest = value_lamports(units - units // 4, Decimal("0.0013"), decimals) - fee_sale
    closed = apply.apply(after, Sold(units - units // 4, rest, at))
    held = [deposit - LAMPORTS_PER_SOL - fee_buy - rent]
    held += [held[0] + quarter, held[0] + quarter + rest + rent]

    figures = [*held, quarter, rest + rent, closed.realised_lamports]
    figures += [position.cost_lamports - after.cost_lamports, after.cost_lamports]
    figures += [after.realised_lamports, closed.realised_lamports - after.realised_lamports]
    page = text_of("docs/concepts.md")
    assert [figure for figure in figures if f"{figure:,}" not in page] == []
    assert held[-1] - deposit == closed.realised_lamports == 349_695_000


def test_every_decision_is_listed_once():
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", text_of("docs/adr/README.md"))

    assert listed == sorted(path.name for path in (PROJECT_DIR / "docs/adr").glob("0*.md"))
    assert [int(name[:4]) for name in listed] == list(range(1, len(listed) + 1))


def test_every_command_that_is_named_exists():
    text = "\n".join(page.read_text() for page in PAGES)
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.M))
    ours = {path.stem for path in PROJECT_DIR.glob("**/management/commands/[a-z]*.py") if ".venv" not in path.parts}

    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.M))
    assert {"run", "test", "demo", "check"} <= named <= targets
    assert set(re.findall(r"manage\.py ([a-z_]+)", text)) <= ours | {"migrate", "shell"}
