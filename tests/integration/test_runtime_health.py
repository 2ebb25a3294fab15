"""Health, and an installation that nobody owns yet."""

import re
from io import StringIO

import psycopg
import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import OperationalError

from nexgent.accounts.models import Membership, Role, User
from nexgent.ids import uuid7
from nexgent.runtime import health
from nexgent.runtime.environment import Environment
from nexgent.runtime.middleware import AdministratorRequired
from trading.engine import recovery


def always(_request=None):
    return True


def never():
    return False


def broken():
    raise OperationalError("gone")


@pytest.fixture(params=["/health", "/api/v1/health"])
def root(request) -> str:
    return request.param


def test_live_answers_without_any_server(client, root):
    answer = client.get(f"{root}/live")

    assert answer.status_code == 200
    assert answer.json()["alive"] is True


@pytest.mark.django_db
def test_ready_names_every_check(client, root, settings):
    settings.READY_CHECKS = {"recovery": f"{__name__}.always"}

    answer = client.get(f"{root}/ready")

    assert answer.status_code == 200
    assert answer.json()["checks"] == {"database": True, "migrations": True, "redis": True, "recovery": True}


@pytest.mark.django_db
def test_not_ready_before_recovery_is_done(client, root, settings):
    settings.READY_CHECKS = {"recovery": f"{__name__}.never"}

    answer = client.get(f"{root}/ready")

    assert answer.status_code == 503
    assert (answer.json()["ready"], answer.json()["checks"]["recovery"]) == (False, False)


@pytest.mark.django_db
def test_not_ready_without_valkey_and_no_error_page(client, root, settings):
    settings.REDIS_URL = "unix:///nowhere/socket"

    answer = client.get(f"{root}/ready")

    assert answer.status_code == 503
    assert answer.json()["checks"]["redis"] is False
    assert answer.json()["checks"]["database"] is True


@pytest.mark.django_db
def test_without_valkey_health_is_degraded_and_still_200(client, root, settings):
    settings.REDIS_URL = "unix:///nowhere/socket"

    answer = client.get(root)

    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["services"]["redis"] == {"status": "unhealthy"}
    assert answer.json()["services"]["websocket"]["connectionCount"] == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    "problem", [OperationalError("gone"), psycopg.OperationalError("gone"), redis.RedisError("gone")]
)
def test_a_report_that_fails_degrades_its_own_part(client, settings, monkeypatch, problem):
    def report():
        raise problem

    monkeypatch.setattr(health, "_load", lambda path: report)
    settings.HEALTH_REPORTS = {"feeds": "any.path"}

    answer = client.get("/health")

    assert answer.status_code == 200
    assert answer.json()["services"]["feeds"] == {"status": "degraded"}


@pytest.mark.django_db
def test_without_postgresql_health_is_unhealthy(client, root, monkeypatch):
    monkeypatch.setattr(health, "_database", broken)

    answer = client.get(root)

    assert answer.status_code == 503
    assert answer.json()["status"] == "unhealthy"


@pytest.mark.django_db
def test_health_may_be_read_but_not_written(client, root):
    assert client.post(root).status_code == 405


@pytest.mark.django_db
def test_every_page_says_503_until_there_is_an_administrator(client, settings):
    settings.REQUIRE_ADMINISTRATOR = True

    page, api = client.get("/admin/"), client.get("/api/v1/auth/me")

    assert (page.status_code, api.status_code) == (503, 503)
    assert "create_admin" in page.content.decode()
    assert api.json()["code"] == "NO_ADMINISTRATOR"
    assert "create_admin" in api.json()["error"]
    assert client.get("/health/live").status_code == 200

    call_command("create_admin", stdout=StringIO())

    assert client.get("/api/v1/auth/me").status_code == 401


@pytest.mark.django_db
def test_once_there_is_an_administrator_it_is_not_asked_again(rf, settings, django_assert_num_queries):
    settings.REQUIRE_ADMINISTRATOR = True
    call_command("create_admin", stdout=StringIO())
    middleware = AdministratorRequired(always)

    with django_assert_num_queries(1):
        answers = [middleware(rf.get("/")) for _ in range(3)]

    assert answers == [True, True, True]


@pytest.mark.django_db
def test_the_first_administrator_owns_a_workspace_and_must_change_the_random_password():
    out = StringIO()

    call_command("create_admin", stdout=out)

    user = User.objects.get()
    assert (user.email, user.is_superuser, user.is_staff, user.must_change_password) == (
        "admin@localhost",
        True,
        True,
        True,
    )
    assert user.check_password(out.getvalue().split("password ")[1].split()[0])
    assert Membership.objects.get(user=user).role == Role.OWNER


@pytest.mark.django_db
def test_a_given_password_is_taken_and_never_printed(settings):
    settings.ENV = Environment(admin_password="Quiet-harbour-41-lanterns")
    out = StringIO()

    call_command("create_admin", email="Owner@Example.org", stdout=out)

    user = User.objects.get()
    assert (user.email, user.must_change_password) == ("owner@example.org", False)
    assert user.check_password("Quiet-harbour-41-lanterns")
    assert "harbour" not in out.getvalue()


@pytest.mark.django_db
def test_a_weak_password_makes_no_administrator(settings):
    settings.ENV = Environment(admin_password="12345678")

    with pytest.raises(CommandError, match="ADMIN_PASSWORD"):
        call_command("create_admin")

    assert User.objects.count() == 0


@pytest.mark.django_db
def test_a_second_administrator_is_refused_and_the_first_unchanged():
    call_command("create_admin", stdout=StringIO())
    before = User.objects.values().get()

    with pytest.raises(CommandError, match="exists already"):
        call_command("create_admin", email="other@example.org")
    call_command("create_admin", email="other@example.org", if_none=True)

    assert User.objects.values().get() == before


@pytest.mark.django_db
def test_the_engine_tells_its_time_as_the_rest_of_the_api_does(client, root):
    recovery.beat(uuid7(), watched=3)

    engine = client.get(root).json()["services"]["engine"]

    assert engine["watched"] == 3
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", engine["at"])
