"""Threads that live as long as their process: a bad message, a bad turn or a missing thread ends none of them."""

import threading
from uuid import uuid4

import pytest
import redis
from django.db import DatabaseError

from nexgent.events.listener import listen
from tests.fakes.loopback import until
from trading.engine.role import Role
from trading.engine.threads import turn


def test_a_message_that_cannot_be_read_keeps_nobody_from_the_next(settings, caplog):
    channel, heard, stop = f"test:{uuid4()}", [], threading.Event()
    thread = threading.Thread(
        target=listen, args=(channel, lambda text: heard.append(int(text))), kwargs={"stop": stop}
    )
    thread.start()
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:
        assert until(lambda: valkey.pubsub_numsub(channel)[0][1] == 1)

        for message in ("7", "", "seven", b"\xff\x00", "8"):
            valkey.publish(channel, message)

        assert until(lambda: heard == [7, 8])
    stop.set()
    thread.join(3)
    assert not thread.is_alive()
    assert caplog.text.count(f"a message of {channel} was not taken") == 3


@pytest.mark.django_db
def test_a_turn_that_fails_is_told_and_gives_its_connection_back(caplog):
    with turn("the turn"):
        raise DatabaseError("away")
    with turn("another"):
        raise ValueError("of no kind that was expected")

    assert [(record.levelname, record.message) for record in caplog.records if "turn" in record.message] == [
        ("WARNING", "the turn: away")
    ]
    assert [bool(record.exc_info) for record in caplog.records if record.message == "another"] == [True]


@pytest.mark.django_db(transaction=True)
def test_an_engine_that_lacks_a_thread_gives_the_role_back_and_tries_again(settings, monkeypatch):
    settings.PRICE_FEEDS = ()
    refused, start = [], threading.Thread.start

    def refuses_once(thread):
        if thread.name == "watermarks" and not refused:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuses_once)
    role = Role(is_standby=False)
    role.start()
    try:
        assert until(lambda: bool(refused) and role.engine is not None)
        engine = role.engine
        assert all(thread.is_alive() for thread in engine._threads)
    finally:
        role.stop()
    assert refused == ["watermarks"]
