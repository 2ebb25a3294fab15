"""Each detector of the crash proof finds its defect in made-up facts, and a clean state has none.

The facts of the database are tables of the same names and columns without any constraint, seen by this session alone:
the real ones refuse most of these defects.
"""

from uuid import UUID

import pytest
from django.db import connection

from tests.crash import door, proof
from tests.crash.system import Process
from trading.models import Purpose, Side, State

ORDER, OTHER, AGENT, POSITION, WORKSPACE = (UUID(int=number) for number in range(1, 6))
MINT = "Fallen"
TABLES = (
    "agents_agent",
    "signals_signal",
    "signals_verdict",
    "trading_fill",
    "trading_order",
    "trading_position",
    "wallets_entry",
    "wallets_hold",
)


def insert(table, **values):
    columns = ", ".join(values)
    moments = {"now": "now()", "long ago": "now() - interval '31 seconds'", "soon": "now() + interval '9 seconds'"}
    marks = ", ".join(moments.get(value, "%s") if isinstance(value, str) else "%s" for value in values.values())
    given = [value for value in values.values() if not (isinstance(value, str) and value in moments)]
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", given)


def change(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


def insert_order(order_id=ORDER, **other):
    known = {
        "key": order_id,
        "side": Side.BUY,
        "purpose": Purpose.ENTRY,
        "state": State.FILLED,
        "signal_id": 1,
        "agent_id": AGENT,
    }
    insert("trading_order", **({"id": order_id, "position_id": POSITION, "created_at": "long ago"} | known | other))


@pytest.fixture
def clean(db):
    """One signal of long ago, bought by one agent, still held."""
    for table in TABLES:
        change(f"CREATE TEMP TABLE {table} ON COMMIT DROP AS SELECT * FROM public.{table} WITH NO DATA")
    insert("agents_agent", id=AGENT, workspace_id=WORKSPACE)
    insert("signals_signal", id=1, workspace_id=WORKSPACE, signal_type="T1", created_at="long ago", drained_at="now")
    insert("signals_verdict", signal_id=1, agent_id=AGENT, order_id=ORDER, reasons="[]")
    insert_order()
    insert("trading_fill", order_id=ORDER, amount_in=100, amount_out=700)
    insert("wallets_entry", id=ORDER, order_id=ORDER)
    position = {"agent_id": AGENT, "mint": MINT, "profile": "wire", "remaining_units": 700, "dca_count": 0}
    insert("trading_position", id=POSITION, opened_by_id=ORDER, **position)


def test_a_clean_state_has_no_findings(clean):
    assert (proof.losses(), proof.doubles(), proof.unfinished()) == (set(), set(), set())
    assert proof.gone([1]) == set()
    assert proof.unsold(["Another"]) == set()  # what has not fallen may be held


LOST = {
    "DELETE FROM signals_verdict": f"no verdict: signal 1 agent {AGENT}",
    "UPDATE signals_verdict SET order_id = NULL": f"eligible without order: signal 1 agent {AGENT}",
    "DELETE FROM trading_fill": f"filled without fill: {ORDER}",
    "DELETE FROM trading_position": f"filled entry without position: {ORDER}",
    "DELETE FROM wallets_entry": f"fill without ledger entry: {ORDER}",
    f"INSERT INTO wallets_hold (order_id) VALUES ('{ORDER}')": f"hold of a final order: {ORDER}",
}


@pytest.mark.parametrize("defect", LOST)
def test_what_is_lost_is_found(clean, defect):
    change(defect)
    assert proof.losses() == {LOST[defect]}


def test_a_signal_that_was_answered_and_is_no_row_is_lost(clean):
    assert proof.gone([1, 2]) == {"accepted and gone: signal 2"}


AGAIN = "INSERT INTO {0} SELECT * FROM {0}"
DOUBLED = {
    AGAIN.format("signals_signal"): "signal accepted twice: T1",
    AGAIN.format("trading_position"): f"two positions of one order: {ORDER}",
    AGAIN.format("wallets_entry"): f"two ledger entries of one fill: {ORDER}",
    "UPDATE trading_order SET state = 4": f"fill of an order that is not filled: {ORDER}",
    "UPDATE trading_position SET remaining_units = 699": f"sold other than bought: position {POSITION}",
    "UPDATE trading_position SET dca_count = 1": f"DCA count: position {POSITION}",
}


@pytest.mark.parametrize("defect", DOUBLED)
def test_what_is_doubled_is_found(clean, defect):
    change(defect)
    assert DOUBLED[defect] in proof.doubles()


def test_two_orders_of_one_signal_and_one_key_for_two_orders_are_found(clean):
    insert_order(OTHER, state=State.FAILED)
    assert proof.doubles() == {f"two orders of one signal: 1 {AGENT}"}
    change(f"UPDATE trading_order SET key = '{ORDER}', signal_id = NULL")
    assert proof.doubles() == {f"key used twice: {ORDER}"}


def test_tokens_sold_twice_are_found(clean):
    insert_order(OTHER, side=Side.SELL, purpose=Purpose.STOP_LOSS, signal_id=None)
    insert("trading_fill", order_id=OTHER, amount_in=700, amount_out=100)
    assert f"sold other than bought: position {POSITION}" in proof.doubles()


@pytest.mark.parametrize("state", [State.PLANNED, State.SUBMITTED])
def test_an_order_that_is_open_for_too_long_is_not_final(clean, state):
    insert_order(OTHER, state=state)
    assert proof.unfinished() == {f"order {OTHER} {Purpose.ENTRY} state {state}"}


@pytest.mark.parametrize("reason", [{"not_before": "now"}, {"lands_at": "soon"}, {"created_at": "now"}])
def test_an_order_whose_time_is_not_over_may_be_open(clean, reason):
    insert_order(OTHER, state=State.SUBMITTED, **reason)
    assert proof.unfinished() == set()


def test_a_signal_that_nobody_answers_is_not_final(clean):
    change("UPDATE signals_signal SET drained_at = NULL")
    assert proof.unfinished() == {"signal 1"}
    change("UPDATE signals_signal SET created_at = now()")
    assert proof.unfinished() == set()


def test_a_position_in_a_fallen_token_must_be_sold_unless_its_sale_waits_for_its_time(clean):
    assert proof.unsold([MINT]) == {f"stop not sold: {POSITION} (wire)"}
    insert_order(OTHER, side=Side.SELL, state=State.PLANNED, signal_id=None, not_before="soon")
    assert proof.unsold([MINT]) == set()
    change("UPDATE trading_order SET not_before = now()")
    assert proof.unsold([MINT]) == {f"stop not sold: {POSITION} (wire)"}
    change("UPDATE trading_position SET closed_at = now()")
    assert proof.unsold([MINT]) == set()


@pytest.mark.parametrize(
    ("swapped", "is_booked", "state", "found"),
    [
        (1, True, State.FILLED, (set(), set())),
        (1, False, State.SUBMITTED, (set(), set())),
        (1, False, State.FAILED, ({"swapped and not booked: a"}, set())),
        (0, True, State.FILLED, ({"booked and never swapped: a"}, set())),
        (2, True, State.FILLED, (set(), {"swapped 2 times: a"})),
        (2, False, State.FAILED, (set(), {"swapped 2 times: a"})),
    ],
)
def test_a_swap_is_lost_or_doubled_and_never_both(swapped, is_booked, state, found):
    record = {"a": swapped} if swapped else {}
    assert proof.judge_venue(record, [("a", is_booked, state)]) == found


def test_a_swap_of_an_order_that_is_gone_is_lost():
    assert proof.judge_venue({"a": 1}, []) == ({"swapped and not booked: a"}, set())


@pytest.mark.parametrize(
    ("is_green", "is_engine_dead", "watched", "found"),
    [
        (True, False, 5, set()),
        (True, False, 6, set()),
        (True, True, 5, {"ready while prices1 (life 2), which watched, was dead"}),
        (True, False, 4, {"ready with 4 of 5 positions watched"}),
        (False, True, 4, set()),
    ],
)
def test_green_while_nobody_watches_or_not_everything_is_found(is_green, is_engine_dead, watched, found):
    got = proof.judge_readiness(
        is_green=is_green, engine="prices1 (life 2)", is_engine_dead=is_engine_dead, watched=watched, is_open=5
    )
    assert got == found


@pytest.mark.parametrize(
    ("lives", "started_at", "died_at", "is_dead"),
    [
        (2, 10.0, 0.0, False),
        (2, 10.0, 19.95, False),  # the harness may have heard of it only now
        (2, 10.0, 19.8, True),
        (2, 10.0, 9.0, False),  # the death of the life before
        (3, 19.95, 19.0, False),
        (3, 19.8, 19.0, True),
    ],
)
def test_an_engine_is_dead_when_its_life_is_over_beyond_doubt(lives, started_at, died_at, is_dead):
    process = Process("prices1", "prices", [], lives=lives, started_at=started_at, died_at=died_at)
    assert proof.is_dead(process, life=2, at=20.0) is is_dead


@pytest.mark.parametrize("word", ["500", "502", "red without a cause"])
def test_a_door_that_fails_or_names_no_cause_is_wrong(word):
    assert door.is_wrong(["green", word]) is True


def test_a_door_may_be_green_red_with_a_cause_or_closed():
    assert door.is_wrong(["green", "red (recovery)", "nobody (web is being killed)"]) is False
