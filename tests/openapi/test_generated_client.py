"""A Python client generated from the OpenAPI text, and nothing else, makes the main journey on the running product."""

import importlib
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tests.e2e.system import EMAIL, PASSWORD, running, wait_until
from tests.trader import new_mint

GENERATOR = Path(sys.executable).with_name("openapi-python-client")
PACKAGE = "nexgent_client"


@pytest.fixture(scope="module")
def system():
    with running() as started:
        yield started


@pytest.fixture
def package(system, tmp_path, monkeypatch):
    """The generated package, importable."""
    text = tmp_path / "openapi.json"
    text.write_bytes(httpx.get(f"{system.url}/api/v1/openapi.json").content)
    words = [GENERATOR, "generate", "--path", text, "--meta", "none", "--output-path", tmp_path / PACKAGE]
    made = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "ERROR" not in made.stdout + made.stderr
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module(PACKAGE)
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


def call(name):
    """An operation of the generated client, by its subject and name."""
    return importlib.import_module(f"{PACKAGE}.api.{name}").sync


def model(name):
    return getattr(importlib.import_module(f"{PACKAGE}.models"), name)


def test_the_generated_client_signs_in_trades_and_reads_the_result(system, package):
    mint = new_mint()
    system.price(mint, "0.01")
    stranger = package.Client(base_url=system.url)

    session = call("sign_in.sign_in")(client=stranger, body=model("LoginBody")(email=EMAIL, password=PASSWORD))
    client = package.AuthenticatedClient(base_url=system.url, token=session.access_token)
    agent = call("agents.create_agent")(client=client, body=model("NewAgent").from_dict(AGENT))
    deposit = model("NewTransaction").from_dict(
        {"agentId": str(agent.id), "transactionType": "DEPOSIT", "outputAmount": "10"}
    )
    entry = call("ledger.create_transaction")(client=client, body=deposit)
    signal = call("signals.create_signal")(
        client=client, body=model("NewSignal")(token_address=mint, signal_type="Breakout", signal_strength=5)
    )
    positions = call("trading.list_positions")
    opened = wait_until(lambda: positions(agent.id, client=client), seconds=20)
    assert opened, list(system.said)[-20:]
    position = positions(agent.id, client=client)[0]
    executions = call("signals.list_executions")(signal.id, client=client)
    closed = call("trading.close_position")(agent.id, position.id, client=client, body=model("CloseBody")())
    trades = call("ledger.list_closed_trades")(client=client, agent_id=agent.id)

    assert session.user.email == EMAIL
    assert (entry.transaction_type, entry.input_amount) == ("DEPOSIT", "10")
    assert position.token_address == mint
    assert [(one.agent_id, one.status) for one in executions] == [(agent.id, "EXECUTED")]
    assert closed.success is True
    assert closed.position_closed is True
    assert positions(agent.id, client=client) == []
    assert [(one.id, one.token_address, one.close_reason) for one in trades] == [(position.id, mint, "manual")]
    assert Decimal(trades[0].purchase_price) == Decimal("0.01")


def test_the_generated_client_reads_a_refusal(system, package):
    client = package.AuthenticatedClient(base_url=system.url, token="not a token")

    refused = call("agents.list_agents")(client=client)

    assert refused.code == "AUTHENTICATION_ERROR"


AGENT = {"name": "Generated", "profile": "ideal", "config": {"stopLoss": {"enabled": True}}}
