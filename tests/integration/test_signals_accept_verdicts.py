"""Eligibility: every reason of every agent, from the database alone."""

import pytest

from agents import services as agents
from nexgent import clock
from nexgent.accounts.models import User, Workspace
from prices.models import Token
from signals import eligibility, selectors, services
from signals.models import Verdict, VerdictRow

MINT = "So11111111111111111111111111111111111111112"
OTHER = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"


@pytest.fixture
def user(db):
    return User.objects.create_user("owner@example.com", "pw-for-tests-1")


@pytest.fixture
def workspace(db):
    return Workspace.objects.create(name="mine")


@pytest.fixture
def agent_with(user, workspace):
    def create(config=None, **changes):
        agent = agents.agent_create(workspace_id=workspace.id, user_id=user.id, name="Momentum", config=config)
        return agents.agent_update(agent_id=agent.id, changes=changes) if changes else agent

    return create


@pytest.fixture
def signal_of(user, workspace):
    def create(**changes):
        body = {"tokenAddress": MINT, "signalType": "BUY", "signalStrength": 3, **changes}
        return services.accept(workspace_id=workspace.id, user_id=user.id, data=body, received_at=clock.now())

    return create


def test_an_agent_with_defaults_takes_any_buy(agent_with, signal_of):
    agent = agent_with()

    assert eligibility.verdicts(signal_of(), [agent]) == {agent.id: ()}


def test_d33_every_reason_against_every_agent_is_kept(agent_with, signal_of):
    strict = agent_with({"signals": {"minScore": 5, "allowedSignalTypes": ["X"], "allowedSources": ["desk"]}})
    listed = agent_with({"signals": {"tokenFilterMode": "blacklist", "tokenList": [MINT]}})
    white = agent_with({"signals": {"tokenFilterMode": "whitelist", "tokenList": [OTHER], "marketCapMin": 10}})
    open_to_all = agent_with()

    found = eligibility.verdicts(signal_of(source="bot"), [strict, listed, white, open_to_all])

    assert found == {
        strict.id: ("strength_below_minimum", "signal_type_not_allowed", "signal_source_not_allowed"),
        listed.id: ("token_blacklisted",),
        white.id: ("token_not_whitelisted", "token_metrics_unavailable"),
        open_to_all.id: (),
    }


def test_d32_the_pause_switch_is_the_agents_row_and_that_of_its_mode(agent_with, signal_of):
    paused = agent_with(entries_simulation=False)
    other_mode = agent_with(entries_live=False)
    live = agent_with(entries_live=False, mode="live")

    found = eligibility.verdicts(signal_of(), [paused, other_mode, live])

    assert found == {
        paused.id: ("automated_trading_paused",),
        other_mode.id: (),
        live.id: ("automated_trading_paused",),
    }


def test_d22_a_sell_never_buys_and_is_followed_only_when_wanted(agent_with, signal_of):
    buyer = agent_with()
    follower = agent_with({"signals": {"followSell": True}})
    picky = agent_with({"signals": {"followSell": True, "minScore": 5}})

    found = eligibility.verdicts(signal_of(signalType="SELL", side="sell"), [buyer, follower, picky])

    assert found == {buyer.id: ("sell_signal",), follower.id: (), picky.id: ("strength_below_minimum",)}


def test_a_paused_agent_still_follows_a_sell(agent_with, signal_of):
    agent = agent_with({"signals": {"followSell": True}}, entries_simulation=False)

    assert eligibility.verdicts(signal_of(side="sell"), [agent]) == {agent.id: ()}


def test_metrics_are_compared_exactly_and_inclusively(agent_with, signal_of):
    signal = signal_of()
    Token.objects.filter(mint=MINT).update(facts={"marketCapUsd": 0.3, "liquidityUsd": 5, "holderCount": 10})
    exact = agent_with({"signals": {"marketCapMin": 0.3, "marketCapMax": 0.3, "holderCountMin": 10}})
    above = agent_with({"signals": {"liquidityMax": 4.99}})

    assert eligibility.verdicts(signal, [exact, above]) == {exact.id: (), above.id: ("liquidity_above_max",)}


def test_an_unknown_metric_fails_its_bound(agent_with, signal_of):
    signal = signal_of()
    Token.objects.filter(mint=MINT).update(facts={"liquidityUsd": 5})
    agent = agent_with({"signals": {"holderCountMin": 0, "liquidityMin": 5}})

    assert eligibility.verdicts(signal, [agent]) == {agent.id: ("holder_count_unknown",)}


def test_facts_are_read_only_when_an_agent_asks_and_configurations_once(
    agent_with, signal_of, django_assert_num_queries
):
    signal = signal_of()
    plain = [agent_with() for _ in range(3)]
    bounded = agent_with({"signals": {"liquidityMin": 1}})
    eligibility.verdicts(signal, [*plain, bounded])

    with django_assert_num_queries(0):
        without_bounds = eligibility.verdicts(signal, plain)
    with django_assert_num_queries(1):
        with_bounds = eligibility.verdicts(signal, [*plain, bounded])

    assert without_bounds == {agent.id: () for agent in plain}
    assert with_bounds[bounded.id] == ("token_metrics_unavailable",)


def test_uncompiled_configurations_are_read_in_one_query(agent_with, signal_of, django_assert_num_queries):
    signal, fresh = signal_of(), [agent_with() for _ in range(5)]

    with django_assert_num_queries(1):
        found = eligibility.verdicts(signal, fresh)

    assert found == {agent.id: () for agent in fresh}


def test_the_candidates_are_the_workspaces_own_agents_in_id_order(agent_with, signal_of, user):
    mine = [agent_with(), agent_with()]
    foreign = Workspace.objects.create(name="other")
    agents.agent_create(workspace_id=foreign.id, user_id=user.id, name="Not mine")

    assert [agent.id for agent in eligibility.candidates(signal_of())] == sorted(agent.id for agent in mine)


def test_an_agent_of_another_workspace_gets_no_verdict(signal_of, user):
    foreign = Workspace.objects.create(name="other")
    agent = agents.agent_create(workspace_id=foreign.id, user_id=user.id, name="Not mine")

    assert eligibility.verdicts(signal_of(), [agent]) == {}


def test_d33_skips_are_shown_with_their_reasons(agent_with, signal_of):
    signal, agent = signal_of(), agent_with()
    Verdict.objects.create(signal=signal, agent=agent, reasons=["strength_below_minimum"], at=clock.now())

    execution = selectors.executions([signal.id])[0]

    assert (execution["agent_id"], execution["status"]) == (agent.id, "SKIPPED")
    assert execution["reasons"] == ["strength_below_minimum"]
    assert list(execution["stages"]) == ["received", "verdict"]
    assert (execution["order_id"], execution["position_id"], execution["transaction_id"]) == (None, None, None)
    row = VerdictRow.objects.get()
    assert (row.id, row.agent_id, row.reasons) == (f"{signal.id}:{agent.id}", agent.id, ["strength_below_minimum"])
