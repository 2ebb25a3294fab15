"""The shape of the code: layers, purity, sizes, no binary floats for money, no network in tests."""

import ast
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.db import models

ROOT = Path(__file__).parents[2]
PACKAGES = ("nexgent", "agents", "trading", "signals", "wallets", "prices")
LINES_MAX = 400
FUNCTION_LINES_MAX = 60
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "handler", "handlers", "base", "core"}
MONEY = ("trading/rules", "trading/engine", "wallets", "nexgent/money.py")
FLOATS_ALLOWED = {
    "trading/rules/vector.py": "the pass that only proposes",
}


def sources(*roots: str) -> Iterator[Path]:
    """Python files, migrations left out."""
    for root in roots:
        path = ROOT / root
        found = [path] if path.is_file() else sorted(path.rglob("*.py"))
        yield from (file for file in found if "migrations" not in file.parts)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_the_layers_import_only_what_is_below() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([linter, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout[-3000:]
    assert "0 broken" in run.stdout


def test_importing_the_rules_loads_no_framework() -> None:
    program = "import trading.rules, trading.rules.decide, trading.rules.apply"
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}

    assert "trading.rules.decide" in loaded
    assert {
        name for name in loaded if name.split(".")[0] in {"django", "celery", "redis", "psycopg", "pydantic"}
    } == set()


def test_no_file_is_too_long_to_be_one_thing() -> None:
    sizes = {name_of(path): len(path.read_text().splitlines()) for path in sources(*PACKAGES, "tests")}

    assert len(sizes) > 100
    assert {name: size for name, size in sizes.items() if size > LINES_MAX} == {}


def test_every_function_fits_a_screen() -> None:
    long = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in sources(*PACKAGES)
        for node in functions(path)
        if (node.end_lineno or node.lineno) - node.lineno >= FUNCTION_LINES_MAX
    ]

    assert long == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        name_of(path)
        for path in sources(*PACKAGES)
        if path.name not in ("__init__.py", "apps.py") and not ast.get_docstring(ast.parse(path.read_text()))
    ]

    assert silent == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = [name_of(path) for path in sources(*PACKAGES) if path.stem in VAGUE or path.parent.name in VAGUE]

    assert vague == ["nexgent/runtime/postgresql/base.py"]  # the name that Django looks for in a backend


def test_no_column_of_the_database_is_a_binary_float() -> None:
    own = [model for model in apps.get_models() if model.__module__.split(".")[0] in PACKAGES]
    floats = [
        f"{model._meta.label}.{field.name}"
        for model in own
        for field in model._meta.get_fields()
        if isinstance(field, models.FloatField)
    ]

    assert len(own) > 20
    assert floats == []


def test_money_code_makes_no_float() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in sources(*MONEY)
        if name_of(path) not in FLOATS_ALLOWED
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float")
    ]

    assert found == []


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111"])
def test_tests_reach_nothing_but_loopback(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as connection, pytest.raises(AssertionError, match="only loopback"):
        connection.connect((address, 80))


def test_tests_reach_loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname(), timeout=2) as connection:
            peer = connection.getpeername()
        assert peer == server.getsockname()
