"""What nobody sends by accident is answered in words, never by a 500: NUL, endless numbers, text too long."""

import pytest
from django.test import Client

from nexgent.accounts.models import PageSession, TokenSession, User
from nexgent.events import auth
from tests.integration.api_client import ADDRESSES, Api, sign_up, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "Correct-Horse-9-Battery"


def browser(**headers: str) -> Client:
    return Client(REMOTE_ADDR=next(ADDRESSES), headers=headers)


@pytest.mark.parametrize("number", ["1e99999999999999999999", "0e-99999999999999999999", "-1.5e999999999"])
def test_an_exponent_that_no_decimal_holds_is_refused(number) -> None:
    body = f'{{"name": "bot", "scopes": ["signals"], "x": {number}}}'

    answer = signed_in("owner@example.com").post("/api/v1/api-keys", body)

    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")


def test_an_integer_has_one_sign() -> None:
    answer = signed_in("owner@example.com").get("/api/v1/alarms", {"limit": "--5"})

    assert answer.status_code == 400
    assert answer.json()["details"]["errors"] == [{"field": "limit", "message": "must be an integer"}]


@pytest.mark.parametrize("seconds", [-1, 604_801, 9 * 10**18])
def test_a_grace_beyond_a_week_is_refused(seconds) -> None:
    owner = signed_in("owner@example.com")
    key = owner.post("/api/v1/api-keys", {"name": "bot", "scopes": ["signals"]}).json()

    answer = owner.post(f"/api/v1/api-keys/{key['id']}/rotate", {"graceSeconds": seconds})

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["details"]["errors"]] == ["graceSeconds"]


def test_a_nul_in_a_form_belongs_to_no_user() -> None:
    signed_in_page = browser().post("/sign-in/", {"email": "a@b\x00.example", "password": "x\x00"})
    reset = browser().post("/reset/", {"email": "a@b\x00.example"})

    assert (signed_in_page.status_code, reset.status_code) == (401, 200)


def test_a_cookie_that_is_no_session_key_is_no_session() -> None:
    answer = browser(cookie='nexgent_session="\\000abcdefghijklmnop"').get("/account/")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/sign-in/?next=%2Faccount%2F")


def test_a_nul_in_the_name_of_a_program_is_left_out() -> None:
    sign_up("owner@example.com", PASSWORD)
    body = {"email": "owner@example.com", "password": PASSWORD}

    answer = browser(**{"user-agent": "a\x00b"}).post("/api/v1/auth/login", body, content_type="application/json")

    assert answer.status_code == 200
    assert TokenSession.objects.get().user_agent == "ab"


def test_an_email_longer_than_its_column_is_refused(settings) -> None:
    settings.REGISTRATION = "open"
    form = {"email": "a" * 250 + "@example.com", "password": PASSWORD, "again": PASSWORD}

    answer = browser().post("/register/", form)

    assert answer.status_code == 400
    assert "must be at most 255 characters" in answer.content.decode()
    assert not User.objects.exists()


@pytest.mark.parametrize("path", ["/invitation/made-up/", "/reset/made-up/"])
def test_links_that_are_wrong_leave_nothing_behind(path) -> None:
    answer = browser().get(path)

    assert answer.status_code == 404
    assert not PageSession.objects.exists()


def test_an_export_has_its_limit_for_head_too() -> None:
    owner = signed_in("owner@example.com")

    answer = owner.client.head("/api/v1/trading-signals/export", headers=owner.headers)

    assert answer.headers["RateLimit-Limit"] == "10"


def test_logout_of_a_page_s_session_ends_it() -> None:
    sign_up("owner@example.com", PASSWORD)
    page = browser()
    page.post("/sign-in/", {"email": "owner@example.com", "password": PASSWORD})

    answer = page.post("/api/v1/auth/logout", "{}", content_type="application/json")

    assert answer.json()["success"] is True
    assert page.get("/api/v1/auth/me").status_code == 401


def test_addresses_of_one_ipv6_network_share_an_account_s_attempts() -> None:
    sign_up("owner@example.com", PASSWORD)
    body = {"email": "owner@example.com", "password": "wrong"}

    statuses = [Api(address=f"2001:db8:1:1::{n}").post("/api/v1/auth/login", body).status_code for n in range(1, 6)]
    elsewhere = Api(address="2001:db8:1:2::1").post("/api/v1/auth/login", body).status_code

    assert (statuses, elsewhere) == ([401, 401, 401, 401, 423], 401)


@pytest.mark.parametrize("origin", [b"http://[", b"null", b"", b"http://elsewhere.example"])
def test_an_origin_that_is_not_ours_opens_no_socket_with_a_cookie(origin) -> None:
    headers = [(b"host", b"localhost"), (b"origin", origin), (b"cookie", b"nexgent_session=abcdefghijklmnop")]

    assert auth.of_scope({"query_string": b"", "headers": headers}) is None
