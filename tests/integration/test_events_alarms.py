"""Alarms: one open per code and subject whatever happens at once, told on the workspace's stream, read in the admin."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.test import Client

from nexgent.accounts.models import User
from nexgent.events import alarms
from nexgent.events.models import Alarm, Event
from nexgent.events.services import NewEvent, append
from tests.racing import together

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


def test_an_alarm_is_raised_once_and_tells_its_workspace() -> None:
    workspace = uuid.uuid4()
    # when
    for _ in range(2):
        alarms.raise_alarm("EXIT_FAILING", subject="p1", detail={"tries": 3}, workspace_id=workspace, at=AT)
    # then
    alarm = Alarm.objects.get()
    assert (alarm.code, alarm.subject, alarm.detail, alarm.cleared_at) == ("EXIT_FAILING", "p1", {"tries": 3}, None)
    event = Event.objects.get(stream_id=workspace)
    assert event.type == "alarm_raised"
    assert event.payload == {"alarmId": str(alarm.id), "code": "EXIT_FAILING", "subject": "p1", "detail": {"tries": 3}}


def test_a_cleared_alarm_ends_and_may_come_again() -> None:
    # given
    workspace = uuid.uuid4()
    alarms.raise_alarm("FEED_SILENT", subject="jupiter", workspace_id=workspace, at=AT)
    # when
    alarms.clear("FEED_SILENT", subject="jupiter", at=AT + timedelta(seconds=5))
    alarms.clear("FEED_SILENT", subject="jupiter", at=AT + timedelta(seconds=9))
    alarms.raise_alarm("FEED_SILENT", subject="jupiter", at=AT + timedelta(seconds=10))
    # then
    times = Alarm.objects.order_by("since").values_list("since", "cleared_at")
    assert list(times) == [(AT, AT + timedelta(seconds=5)), (AT + timedelta(seconds=10), None)]
    names = Event.objects.filter(stream_id=workspace).order_by("seq").values_list("type", flat=True)
    assert list(names) == ["alarm_raised", "alarm_cleared"]


def test_twelve_threads_raise_one_alarm_and_one_event() -> None:
    workspace = uuid.uuid4()

    def raise_it() -> None:
        alarms.raise_alarm("DEADLOCK", subject="engine", workspace_id=workspace, at=AT)

    assert together([raise_it] * 12) == [None] * 12
    assert Alarm.objects.count() == Event.objects.filter(stream_id=workspace).count() == 1


def test_inside_a_transaction_an_alarm_waits_for_the_commit() -> None:
    workspace = uuid.uuid4()
    with transaction.atomic():
        alarms.raise_alarm("EXIT_FAILING", subject="p1", workspace_id=workspace, at=AT)
        append([NewEvent(uuid.uuid4(), "note", {}, AT)])
        assert Alarm.objects.count() == 0
    assert Alarm.objects.count() == 1
    with transaction.atomic():
        alarms.raise_alarm("EXIT_FAILING", subject="p2", workspace_id=workspace, at=AT)
        transaction.set_rollback(True)
    assert Alarm.objects.count() == 1


@pytest.mark.parametrize("page", ["stream", "eventrow", "alarm"])
def test_the_admin_lists_streams_events_and_alarms_and_changes_nothing(client: Client, page: str) -> None:
    # given
    client.force_login(User.objects.create_superuser("admin@example.org"))
    alarms.raise_alarm("FEED_SILENT", subject="jupiter", workspace_id=uuid.uuid4(), at=AT)
    # when
    listed, add = client.get(f"/admin/events/{page}/"), client.get(f"/admin/events/{page}/add/")
    # then
    assert listed.status_code == 200
    assert add.status_code == 403
