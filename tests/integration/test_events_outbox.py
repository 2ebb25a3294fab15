"""The outbox: numbers without gaps in commit order, under concurrency, rollback and a killed connection."""

import json
import threading
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection, connections, transaction

from nexgent.api.wire import number
from nexgent.events import bell, selectors, services
from nexgent.events.channels import EVENTS
from nexgent.events.models import Event, Stream
from nexgent.events.services import NewEvent, append

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


def event(stream_id: uuid.UUID, name: str = "note", **payload: object) -> NewEvent:
    return NewEvent(stream_id, name, dict(payload), AT)


def numbers(stream_id: uuid.UUID) -> list[int]:
    return list(Event.objects.filter(stream_id=stream_id).order_by("seq").values_list("seq", flat=True))


def test_events_of_several_streams_get_consecutive_numbers_in_the_given_order() -> None:
    # given two streams, one of which stands at 1
    first, second = uuid.uuid4(), uuid.uuid4()
    append([event(first, n=0)])
    # when one call appends to both
    with transaction.atomic():
        append([event(first, n=1), event(second, n=2), event(first, n=3)])
    # then
    rows = Event.objects.filter(stream_id=first).order_by("seq").values_list("seq", "payload")
    assert list(rows) == [(1, {"n": 0}), (2, {"n": 1}), (3, {"n": 3})]
    assert numbers(second) == [1]
    assert dict(Stream.objects.values_list("id", "seq")) == {first: 3, second: 1}


def test_append_is_one_statement(django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    streams = [uuid.uuid4() for _ in range(25)]
    with transaction.atomic(), django_assert_num_queries(1):
        append([event(stream) for stream in streams])
    assert Event.objects.count() == 25


def test_append_works_inside_a_psycopg_pipeline() -> None:
    stream = uuid.uuid4()
    connection.ensure_connection()
    with transaction.atomic(), connection.connection.pipeline():
        append([event(stream), event(stream)])
    assert numbers(stream) == [1, 2]


def test_a_rolled_back_append_leaves_no_gap_and_rings_nothing() -> None:
    # given
    stream = uuid.uuid4()
    with bell.connect().pubsub() as heard:
        heard.subscribe(EVENTS)
        heard.get_message(timeout=1)
        # when one transaction fails and the next commits
        with transaction.atomic():
            append([event(stream)])
            transaction.set_rollback(True)
        append([event(stream)])
        assert bell.flush()
        # then
        message = heard.get_message(timeout=1)
        assert message is not None
        assert json.loads(message["data"]) == [[str(stream), 1]]
        assert heard.get_message(timeout=0.1) is None
    assert numbers(stream) == [1]


def test_a_killed_writer_leaves_no_gap() -> None:
    # given a writer that has appended and not committed
    stream = uuid.uuid4()
    append([event(stream)])
    appended, killed = threading.Event(), threading.Event()
    broken: list[Exception] = []

    def write() -> None:
        try:
            with transaction.atomic():
                append([event(stream)])
                pids.append(connection.connection.info.backend_pid)
                appended.set()
                killed.wait(5)
        except Exception as error:
            broken.append(error)
        finally:
            connections.close_all()

    pids: list[int] = []
    writer = threading.Thread(target=write)
    writer.start()
    assert appended.wait(5)
    # when its session is killed
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", pids)
    killed.set()
    writer.join()
    append([event(stream)])
    # then
    assert len(broken) == 1
    assert numbers(stream) == [1, 2]


def test_sixteen_writers_on_ten_streams_show_readers_no_gap() -> None:
    # given readers that follow all streams by number while sixteen threads write, every fourth transaction failing
    streams = [uuid.uuid4() for _ in range(10)]
    done = threading.Event()
    gaps: list[tuple[uuid.UUID, int, int]] = []
    seen = dict.fromkeys(streams, 0)
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for turn in range(20):
                chosen = [streams[(number * 7 + turn * 3 + step * number) % 10] for step in range(3)]
                with transaction.atomic():
                    append([event(stream, writer=number, turn=turn) for stream in chosen])
                    transaction.set_rollback(turn % 4 == 3)
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    def read() -> None:
        try:
            is_last = False
            while not is_last:
                is_last = done.is_set()
                for stream in streams:
                    for row in Event.objects.filter(stream_id=stream, seq__gt=seen[stream]).order_by("seq"):
                        if row.seq != seen[stream] + 1:
                            gaps.append((stream, seen[stream], row.seq))
                        seen[stream] = row.seq
                time.sleep(0.002)
        finally:
            connections.close_all()

    # when
    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in [reader, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    # then: no deadlock, no gap, nothing lost; 16 writers x 15 commits x 3 events
    assert errors == []
    assert gaps == []
    assert sum(seen.values()) == 16 * 15 * 3
    assert dict(Stream.objects.values_list("id", "seq")) == seen


def test_exact_numbers_of_a_payload_stay_exact() -> None:
    stream = uuid.uuid4()
    append([event(stream, price=number(Decimal("0.000000001234567890123456")))])
    assert selectors.events_after({stream: 0})[0].payload_text == '{"price": 0.000000001234567890123456}'


def test_sweep_removes_what_is_older_than_seven_days_and_keeps_the_counter() -> None:
    # given
    stream = uuid.uuid4()
    append([NewEvent(stream, "note", {}, AT.replace(day=1 + day)) for day in range(10)])
    # when
    removed = services.sweep(now=AT.replace(day=11), batch=2)
    # then
    assert removed == 3
    assert numbers(stream) == [4, 5, 6, 7, 8, 9, 10]
    assert Stream.objects.get(id=stream).seq == 10
