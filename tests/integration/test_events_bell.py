"""Bells: after the commit, coalesced, bounded, and never in the way of the caller."""

import json
import logging
import os
import time
import uuid

import pytest
from django.conf import settings
from django.db import transaction

from nexgent.events import bell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def queue():  # type: ignore[no-untyped-def]
    name = f"test-{uuid.uuid4()}"
    yield name
    bell.connect().delete(name)


@pytest.fixture
def own_sender(monkeypatch):  # type: ignore[no-untyped-def]
    sender = bell._Sender()
    monkeypatch.setattr(bell, "_sender", sender)
    return sender


def test_a_ring_sends_the_celery_task_after_the_commit(queue: str) -> None:
    # when
    with transaction.atomic():
        bell.task("exits.drain", queue=queue)
        assert bell.flush()
        assert bell.connect().llen(queue) == 0
    assert bell.flush()
    # then
    message = json.loads(bell.connect().lindex(queue, 0))
    assert message["headers"]["task"] == "exits.drain"
    assert message["headers"]["ignore_result"] is True
    assert message["headers"]["expires"] is not None


def test_a_rolled_back_transaction_rings_nothing(queue: str) -> None:
    with transaction.atomic():
        bell.task("exits.drain", queue=queue)
        transaction.set_rollback(True)
    assert bell.flush()
    assert bell.connect().llen(queue) == 0


def test_equal_rings_that_wait_are_one(queue: str, own_sender) -> None:  # type: ignore[no-untyped-def]
    # given a transaction that rings a hundred times; the queue's lock is held while its callbacks run
    with own_sender.condition:
        for _ in range(100):
            bell.task("exits.drain", queue=queue)
    # then
    assert bell.flush()
    assert bell.connect().llen(queue) == 1


def test_the_queue_of_a_dead_worker_does_not_grow(queue: str, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(bell, "RINGS_MAX", 3)
    for _ in range(10):
        bell.task("exits.drain", queue=queue)
        assert bell.flush()
    assert bell.connect().llen(queue) == 3


def test_without_valkey_the_caller_goes_on_and_one_line_is_logged(own_sender, settings, caplog) -> None:  # type: ignore[no-untyped-def]
    # given
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    # when
    started = time.perf_counter()
    with caplog.at_level(logging.WARNING, logger="nexgent.events.bell"):
        for number in range(20):
            bell.publish("nexgent:test", b"x")
            bell.task(f"task{number}", queue="exits")
            if number % 5 == 0:
                assert bell.flush()
    took = time.perf_counter() - started
    assert bell.flush()
    # then
    assert took < 1.0
    assert bell.counts() == {"sent": 0, "failed": 40, "dropped": 0}
    assert [record.message.split(":")[0] for record in caplog.records] == ["bells are lost, Valkey does not answer"]


def test_bells_work_again_when_valkey_is_back(own_sender, settings, caplog) -> None:  # type: ignore[no-untyped-def]
    # given an outage
    address = settings.REDIS_URL
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    bell.publish("nexgent:test", b"lost")
    assert bell.flush()
    # when
    settings.REDIS_URL = address
    own_sender.valkey = None
    bell.publish("nexgent:test", b"sent")
    # then
    assert bell.flush()
    assert bell.counts() == {"sent": 1, "failed": 1, "dropped": 0}


def test_the_oldest_message_goes_when_the_queue_is_full(own_sender, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(bell, "WAITING_MAX", 2)
    with own_sender.condition:
        for number in range(5):
            own_sender.post("nexgent:test", str(number).encode())
        assert [message for _, message in own_sender.waiting.messages] == [b"3", b"4"]
    assert bell.flush()
    assert bell.counts()["dropped"] == 3


def test_a_forked_child_rings_with_a_sender_of_its_own(queue: str) -> None:
    # given a process whose sender runs
    bell.publish("nexgent:test", b"parent")
    assert bell.flush()
    # when
    child = os.fork()
    if child == 0:
        bell._sender.ring("exits.drain", queue)
        os._exit(0 if bell.flush() else 1)
    _, status = os.waitpid(child, 0)
    # then
    assert os.waitstatus_to_exitcode(status) == 0
    assert bell.connect().llen(queue) == 1
    assert settings.REDIS_URL
