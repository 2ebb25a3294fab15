"""The schedule of beat: complete, each line with a queue that somebody answers and a time after which it is void."""

import types
from datetime import timedelta

import pytest
from celery import schedules
from django.conf import settings
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from nexgent.celery import app
from nexgent.runtime import presence, processes
from nexgent.runtime.beat import Entry, SingleScheduler

pytestmark = pytest.mark.django_db
SCHEDULE = settings.CELERY_BEAT_SCHEDULE


def test_every_line_names_a_task_that_exists():
    app.loader.import_default_modules()

    assert [name for name, line in SCHEDULE.items() if line["task"] not in app.tasks] == []


def test_the_schedule_is_complete():
    rung = {line["task"]: (line["schedule"], line["options"]["queue"]) for line in SCHEDULE.values()}

    assert rung["prices.tasks.poll"] == (1.5, "prices")
    assert rung["trading.check_exits"] == (1, "prices")
    assert rung["trading.exits_drain"] == (1, "exits")
    assert rung["trading.entries_drain"] == (1, "entries")
    assert rung["signals.drain"] == (1, "entries")
    assert rung["trading.snapshots"] == (schedules.crontab(minute="0"), "default")
    assert {"trading.untradable", "signals.momentum", "prices.tasks.retain", "events.sweep", "accounts.sweep"} <= set(
        rung
    )


def test_every_line_expires_and_goes_to_a_queue_that_a_process_answers():
    queues = {kind for kind, command in processes.COMMANDS.items() if f"-Q {kind}" in command}

    assert {line["options"]["queue"] for line in SCHEDULE.values()} <= queues
    assert all(isinstance(line["options"]["expire_seconds"], int) for line in SCHEDULE.values())


def test_a_line_in_the_database_keeps_its_fraction_of_a_second_and_its_expiry():
    entry = Entry.from_entry("prices.poll", app=app, **SCHEDULE["prices.poll"])
    again = Entry.from_entry("prices.poll", app=app, **SCHEDULE["prices.poll"])

    assert entry.schedule.run_every == again.schedule.run_every == timedelta(seconds=1.5)
    assert entry.options["expires"] == 3
    assert IntervalSchedule.objects.filter(period=IntervalSchedule.MICROSECONDS).count() == 1


def test_whole_seconds_and_times_of_day_stay_readable():
    Entry.from_entry("a", app=app, **SCHEDULE["trading.check_exits"])
    Entry.from_entry("b", app=app, **SCHEDULE["trading.snapshots"])

    assert str(PeriodicTask.objects.get(name="a").interval) == "every second"
    assert PeriodicTask.objects.get(name="b").crontab.minute == "0"


def test_no_more_is_sent_to_a_queue_that_nobody_empties(monkeypatch):
    sent = []
    monkeypatch.setattr(DatabaseScheduler, "apply_entry", lambda self, entry, producer=None: sent.append(entry))
    scheduler = SingleScheduler.__new__(SingleScheduler)
    entry = types.SimpleNamespace(options={"queue": "nobody"})
    valkey = presence.client()
    try:
        scheduler.apply_entry(entry)
        valkey.rpush("nobody", *range(settings.BEAT_BACKLOG_MAX))
        scheduler.apply_entry(entry)
    finally:
        valkey.delete("nobody")
        valkey.close()

    assert sent == [entry]


def test_without_valkey_it_is_tried_all_the_same(monkeypatch, settings):
    sent = []
    monkeypatch.setattr(DatabaseScheduler, "apply_entry", lambda self, entry, producer=None: sent.append(entry))
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    entry = types.SimpleNamespace(options={"queue": "exits"})

    SingleScheduler.__new__(SingleScheduler).apply_entry(entry)

    assert sent == [entry]
