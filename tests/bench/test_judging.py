"""The soak's judgement of made-up looks: a clean run misses nothing, each single defect is found by its own name."""

from dataclasses import replace

import pytest

from tests.bench.judging import Look, growth, missed, overlooked

CLEAN = Look(
    at_seconds=60,
    is_balanced=True,
    problems=(),
    open_orders=150,
    oldest_order_seconds=60,
    oldest_signal_seconds=0.1,
    open_positions=900,
    fills=1_000,
    failed=20,
    connections=30,
    clients=40,
    queued=3,
    subscriptions=5,
    memory_mb={"prices": 150.0, "web": 120.0, "postgres": 200.0, "valkey": 6.0},
)


def run_of(minutes):
    """A look each minute and one after everything has settled; memory breathes by a per cent."""
    looks = [
        replace(
            CLEAN,
            at_seconds=60.0 * minute,
            fills=1_000 * minute,
            connections=30 + minute % 3,
            clients=40 + minute % 4,
            memory_mb={"prices": 150 + minute % 2, "web": 120.0, "postgres": 200.0 + 10 * minute, "valkey": 6.0},
        )
        for minute in range(1, minutes + 1)
    ]
    return [*looks, replace(looks[-1])]


def judged(looks, refused=0):
    return missed(looks, seconds=round(looks[-1].at_seconds), refused=refused)


def with_memory(looks, sizes):
    """The looks from minute 5 on get these sizes of the prices process."""
    of = dict(zip(range(4, len(looks)), sizes, strict=True))
    return [
        replace(look, memory_mb=look.memory_mb | {"prices": float(of.get(number, 100))})
        for number, look in enumerate(looks)
    ]


@pytest.mark.parametrize("minutes", [1, 10, 30])
def test_a_clean_run_misses_nothing(minutes):
    assert judged(run_of(minutes)) == []


@pytest.mark.parametrize("minutes", [1, 10, 30])
@pytest.mark.parametrize(
    ("defect", "name"),
    [
        ({"is_balanced": False}, "books"),
        ({"queued": 201}, "queues"),
        ({"oldest_order_seconds": 100.5}, "queues"),
        ({"oldest_signal_seconds": 31}, "queues"),
        ({"connections": 46}, "connections"),
    ],
)
def test_one_look_with_a_defect_is_found_in_a_run_of_any_length(minutes, defect, name):
    looks = run_of(minutes)
    looks[0] = replace(looks[0], **defect)

    assert judged(looks) == [name]


def test_a_minute_without_a_look_is_no_balance_of_every_minute():
    looks = run_of(30)

    assert missed(looks[:20] + looks[22:], seconds=1_800, refused=0) == ["books"]


def test_a_refused_signal_or_nothing_traded_at_all_is_no_proof():
    looks = [replace(look, fills=0) for look in run_of(1)]

    assert judged(run_of(1), refused=1) == ["trades"]
    assert judged(looks) == ["trades"]
    assert missed([], seconds=30, refused=0) == ["trades"]


def test_an_engine_that_stands_still_for_a_minute_is_found_by_a_long_run():
    looks = run_of(10)
    looks[6] = replace(looks[6], fills=looks[5].fills)

    assert judged(looks) == ["trades"]
    assert missed(looks[:8], seconds=480, refused=0) == []


@pytest.mark.parametrize(
    ("field", "every", "name"),
    [("connections", 2, "connections"), ("clients", 2, "connections"), ("subscriptions", 20, "subscriptions")],
)
def test_what_is_left_open_one_by_one_is_a_leak_below_any_bound(field, every, name):
    looks = run_of(30)
    leaking = [replace(look, **{field: 20 + number // every}) for number, look in enumerate(looks)]

    assert judged(leaking) == [name]
    assert missed(leaking[:8], seconds=480, refused=0) == []


def test_a_leak_before_minute_five_is_the_start():
    looks = run_of(10)
    started = [replace(look, connections=min(40, 10 * n), subscriptions=min(5, n)) for n, look in enumerate(looks, 1)]

    assert judged(started) == []


def test_one_connection_more_at_one_look_is_none_left_open():
    looks = run_of(10)
    looks[-1] = replace(looks[-1], connections=44, subscriptions=6)

    assert judged(looks) == []


@pytest.mark.parametrize(
    ("sizes", "percent"),
    [
        ([100, 101, 102, 103, 104, 105, 105], 5.0),
        ([100, 102, 104, 106, 108, 110, 100], 600 / 102),
        ([110, 100, 100, 104, 108, 108, 108], 8.0),
        ([100, 100, 100, 100, 100, 105, 105], 5.0),
        ([100, 100, 100, 100, 100, 0, 100], float("inf")),
    ],
    ids=["slowly", "with a dip at the end", "with a peak at the beginning", "at the end", "gone from a look"],
)
def test_memory_that_grows_is_found(sizes, percent):
    looks = with_memory(run_of(10), sizes)

    assert growth(looks)["prices"] == pytest.approx(percent)
    assert judged(looks) == ["memory"]


@pytest.mark.parametrize(
    "sizes", [[100, 101, 102, 103, 104, 104, 104.9], [120, 110, 100, 100, 100, 100, 100], [100] * 7]
)
def test_memory_that_grows_by_less_or_falls_is_flat(sizes):
    assert judged(with_memory(run_of(10), sizes)) == []


def test_memory_before_minute_five_and_of_the_servers_is_told_only():
    looks = run_of(10)

    assert set(growth(looks)) == {"prices", "web"}
    assert growth(run_of(4)) == {}
    assert judged([replace(looks[0], memory_mb={"prices": 20.0}), *looks[1:]]) == []


def test_a_long_run_without_looks_to_compare_proves_nothing():
    early = [replace(CLEAN, fills=number) for number in range(1, 11)]

    assert missed(early, seconds=600, refused=0) == ["connections", "subscriptions", "memory"]


def test_the_control_names_what_was_damaged_and_not_found():
    assert overlooked(["books", "queues"], seconds=12) == []
    assert overlooked(["books", "trades"], seconds=12) == ["queues"]
    assert overlooked(["books", "queues", "memory"], seconds=600) == ["connections", "subscriptions"]
