"""Sessions of pages and tokens: seen, ended singly and all at once, with the sockets they opened; proof; passwords."""

from datetime import timedelta

import pytest
from django.test import Client

from nexgent import clock
from nexgent.accounts import services, sessions, tokens
from nexgent.accounts.models import PageSession, TokenSession, User
from nexgent.api import throttling
from nexgent.events import control
from tests.integration.api_client import ADDRESSES, Api, sign_up
from tests.racing import together

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "Correct-Horse-9-Battery"


@pytest.fixture
def told(monkeypatch):
    """What the sockets of all web processes are told."""
    messages = []
    monkeypatch.setattr(control, "_tell", lambda **facts: messages.append(facts))
    return messages


def login(email, **extra):
    body = {"email": email, "password": PASSWORD, **extra}
    return Api(address=next(ADDRESSES)).post("/api/v1/auth/login", body, User_Agent="curl/8.5.0").json()


def browser(email):
    client = Client(REMOTE_ADDR=next(ADDRESSES), headers={"User-Agent": "Mozilla/5.0 (X11; Linux) Chrome/140.0"})
    assert client.post("/sign-in/", {"email": email, "password": PASSWORD}).status_code == 302
    return client


def test_the_list_shows_pages_and_tokens_and_which_one_is_asking():
    sign_up("list@example.com", PASSWORD)
    pair, _ = login("list@example.com"), browser("list@example.com")

    listed = Api(pair["accessToken"]).get("/api/v1/auth/sessions").json()

    assert [(each["kind"], each["userAgent"], each["isCurrent"]) for each in listed] == [
        ("page", "Mozilla/5.0 (X11; Linux) Chrome/140.0", False),
        ("token", "curl/8.5.0", True),
    ]
    assert all(each["address"].startswith("10.") for each in listed)
    assert set(listed[0]) == {
        "id",
        "kind",
        "address",
        "userAgent",
        "createdAt",
        "lastUsedAt",
        "expiresAt",
        "isCurrent",
    }


def test_one_session_ends_with_its_sockets_and_no_other(told):
    user = sign_up("one@example.com", PASSWORD)
    first, second, page = login("one@example.com"), login("one@example.com"), browser("one@example.com")
    api = Api(first["accessToken"])
    listed = api.get("/api/v1/auth/sessions").json()
    page_key = PageSession.objects.get(user=user).pk
    page_id = next(each["id"] for each in listed if each["kind"] == "page")
    token_id = next(each["id"] for each in listed if each["kind"] == "token" and not each["isCurrent"])

    answers = [api.delete(f"/api/v1/auth/sessions/{each}").status_code for each in (page_id, token_id, token_id)]

    assert answers == [204, 204, 404]
    assert {"kind": "revoke", "key": page_key} in told
    assert {"kind": "revoke", "key": token_id} in told
    assert page.get("/").headers["Location"] == "/sign-in/"
    assert Api(second["accessToken"]).get("/api/v1/auth/me").status_code == 401
    assert api.get("/api/v1/auth/me").status_code == 200


def test_a_session_of_somebody_else_does_not_exist():
    sign_up("a@example.com", PASSWORD)
    sign_up("b@example.com", PASSWORD)
    login("b@example.com")
    theirs = TokenSession.objects.get(user__email="b@example.com").id

    assert Api(login("a@example.com")["accessToken"]).delete(f"/api/v1/auth/sessions/{theirs}").status_code == 404
    assert TokenSession.objects.get(id=theirs).revoked_at is None


@pytest.mark.parametrize("rotate", [False, True])
def test_revoke_all_ends_both_forms_of_tokens_and_pages(told, rotate):
    user = sign_up("all@example.com", PASSWORD)
    pair, other = login("all@example.com", rotateRefresh=rotate), login("all@example.com")
    page = browser("all@example.com")

    answer = Api(pair["accessToken"]).post("/api/v1/auth/revoke-all")

    assert (answer.status_code, answer.json()["ended"]) == (200, 3)
    assert {"kind": "sign_out", "userId": str(user.id)} in told
    assert Api(other["accessToken"]).get("/api/v1/auth/me").status_code == 401
    assert Api().post("/api/v1/auth/refresh", {"refreshToken": pair["refreshToken"]}).status_code == 401
    assert page.get("/").headers["Location"] == "/sign-in/"


def test_logout_tells_the_sockets_of_token_and_session(told):
    sign_up("out@example.com", PASSWORD)
    pair = login("out@example.com")
    session = TokenSession.objects.get()

    Api(pair["accessToken"]).post("/api/v1/auth/logout")

    assert {"kind": "revoke", "key": str(session.id)} in told
    assert len(told) == 2


def test_a_use_is_written_once_a_minute():
    sign_up("use@example.com", PASSWORD)
    api = Api(login("use@example.com")["accessToken"])
    session = TokenSession.objects.get()
    api.get("/api/v1/auth/me")
    assert TokenSession.objects.get().used_at == session.used_at

    TokenSession.objects.update(used_at=clock.now() - timedelta(seconds=61))
    api.get("/api/v1/auth/me")

    assert clock.now() - TokenSession.objects.get().used_at < timedelta(seconds=5)


def test_a_page_in_use_is_noted_once_a_minute():
    sign_up("page@example.com", PASSWORD)
    page = browser("page@example.com")
    PageSession.objects.update(used_at=clock.now() - timedelta(minutes=5))

    page.get("/account/")

    assert clock.now() - PageSession.objects.get(user__email="page@example.com").used_at < timedelta(seconds=5)


@pytest.mark.parametrize("rotate", [False, True])
def test_twenty_parallel_refreshes_leave_one_living_session(monkeypatch, rotate):
    sign_up("many@example.com", PASSWORD)
    pair = login("many@example.com", rotateRefresh=rotate)
    monkeypatch.setattr(throttling.Limit, "allow_request", lambda self, request, view: True)
    answers = []  # in the order of their arrival

    def refresh():
        answers.append(Api().post("/api/v1/auth/refresh", {"refreshToken": pair["refreshToken"]}))

    assert together([refresh] * 20, threads=20) == [None] * 20

    assert [answer.status_code for answer in answers] == [200] * 20
    assert TokenSession.objects.get().revoked_at is None
    assert all(Api(answer.json()["accessToken"]).get("/api/v1/auth/me").status_code == 200 for answer in answers)
    given = {answer.json()["refreshToken"] for answer in answers} if rotate else set()
    assert len({token.split(".")[1] for token in given}) <= len(answers)
    last = answers[-1].json().get("refreshToken", pair["refreshToken"])
    assert Api().post("/api/v1/auth/refresh", {"refreshToken": last}).status_code == 200


def test_reuse_after_the_grace_ends_the_session_and_its_sockets(told):
    sign_up("stolen@example.com", PASSWORD)
    pair = login("stolen@example.com", rotateRefresh=True)
    Api().post("/api/v1/auth/refresh", {"refreshToken": pair["refreshToken"]})
    TokenSession.objects.update(rotated_at=clock.now() - timedelta(seconds=21))

    reused = Api().post("/api/v1/auth/refresh", {"refreshToken": pair["refreshToken"]})

    assert reused.status_code == 401
    assert {"kind": "revoke", "key": str(TokenSession.objects.get().id)} in told


def test_what_moves_money_asks_for_a_fresh_proof():
    member = sign_up("money@example.com", PASSWORD)
    workspace = member.memberships.get().workspace_id
    api = Api(login("money@example.com")["accessToken"])
    asked = [
        ("POST", "/api/v1/api-keys", {"name": "bot", "scopes": ["trade"]}),
        ("POST", "/api/v1/api-keys", {"name": "bot", "preset": "strategist"}),
        ("POST", "/api/v1/agents", {"name": "Live", "tradingMode": "live"}),
        ("POST", "/api/v1/auth/email", {"email": "new@example.com"}),
        ("POST", f"/api/v1/workspaces/{workspace}/invitations", {"role": "owner"}),
        ("PATCH", f"/api/v1/workspaces/{workspace}/members/{member.pk}", {"role": "trader"}),
        ("POST", "/api/v1/auth/factors/totp/offer", {}),
        ("DELETE", "/api/v1/auth/factors/018f0000-0000-7000-8000-000000000001", None),
        ("POST", "/api/v1/auth/factors/recovery-codes", {}),
    ]
    free = ("POST", "/api/v1/api-keys", {"name": "bot", "scopes": ["signals"]})

    def send(method, path, body):
        return api.delete(path) if method == "DELETE" else getattr(api, method.lower())(path, body)

    TokenSession.objects.update(proved_at=clock.now() - timedelta(minutes=11))
    refused = [send(*each) for each in asked]
    wrong = api.post("/api/v1/auth/step-up", {"password": "no"})
    allowed = send(*free)
    proved = api.post("/api/v1/auth/step-up", {"password": PASSWORD})
    after = [send(*each) for each in asked]

    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(403, "STEP_UP_REQUIRED")}
    assert (wrong.status_code, allowed.status_code, proved.status_code) == (400, 201, 200)
    assert "STEP_UP_REQUIRED" not in {answer.json().get("code") for answer in after}


def test_live_mode_of_an_agent_asks_for_a_fresh_proof_and_simulation_does_not():
    sign_up("mode@example.com", PASSWORD)
    api = Api(login("mode@example.com")["accessToken"])
    agent = api.post("/api/v1/agents", {"name": "Momentum"}).json()["id"]
    TokenSession.objects.update(proved_at=None)

    live = api.put(f"/api/v1/agents/{agent}", {"tradingMode": "live"})
    switch = api.patch(f"/api/v1/agents/{agent}", {"automatedTradingLive": True})
    renamed = api.put(f"/api/v1/agents/{agent}", {"name": "Renamed", "automatedTradingLive": False})

    assert (live.status_code, live.json()["code"]) == (403, "STEP_UP_REQUIRED")
    assert switch.status_code == 403
    assert renamed.status_code == 200


def test_a_first_password_opens_nothing_but_its_change():
    services.user_create(email="first@example.com", password=PASSWORD, is_superuser=True, must_change_password=True)
    api = Api(login("first@example.com")["accessToken"])

    refused = api.get("/api/v1/agents")
    changed = api.post("/api/v1/auth/password", {"currentPassword": PASSWORD, "newPassword": "Fresh-Staple-77-x"})

    assert (refused.status_code, refused.json()["code"]) == (403, "PASSWORD_CHANGE_REQUIRED")
    assert changed.status_code == 200
    assert api.get("/api/v1/auth/me").status_code == 401
    assert Api(changed.json()["accessToken"]).get("/api/v1/agents").status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"currentPassword": "wrong", "newPassword": "Fresh-Staple-77-x"}, "currentPassword"),
        ({"currentPassword": PASSWORD, "newPassword": "12345"}, "newPassword"),
        ({"currentPassword": PASSWORD, "newPassword": PASSWORD}, "newPassword"),
        ({"newPassword": PASSWORD}, "currentPassword"),
    ],
)
def test_a_wrong_change_of_password_names_its_field(body, field):
    sign_up("change@example.com", PASSWORD)

    answer = Api(login("change@example.com")["accessToken"]).post("/api/v1/auth/password", body)

    assert (answer.status_code, [each["field"] for each in answer.json()["details"]["errors"]]) == (400, [field])


def test_changing_the_password_on_a_page_keeps_that_page_and_ends_the_rest(told):
    user = sign_up("keep@example.com", PASSWORD)
    page, other, pair = browser("keep@example.com"), browser("keep@example.com"), login("keep@example.com")
    new = {"current": PASSWORD, "password": "Fresh-Staple-77-x", "again": "Fresh-Staple-77-x"}

    assert page.post("/password/", new).headers["Location"] == "/"

    assert page.get("/account/").status_code == 200
    assert other.get("/account/").headers["Location"].startswith("/sign-in/")
    assert Api(pair["accessToken"]).get("/api/v1/auth/me").status_code == 401
    assert {"kind": "sign_out", "userId": str(user.id)} in told


def test_guessing_the_current_password_locks():
    user = sign_up("guess@example.com", PASSWORD)
    codes = []
    for _ in range(6):
        try:
            services.password_change(user_id=user.id, current="wrong", new="Fresh-Staple-77-x")
        except services.Refusal as refusal:
            codes.append(refusal.code)

    assert codes == ["VALIDATION_ERROR"] * 4 + ["ACCOUNT_LOCKED"] * 2


def test_the_account_page_ends_sessions():
    sign_up("web@example.com", PASSWORD)
    page, other = browser("web@example.com"), browser("web@example.com")
    login("web@example.com")
    token_session = TokenSession.objects.get()

    shown = page.get("/account/").content.decode()
    page.post(f"/account/sessions/{token_session.id}/end/")
    page.post("/account/sessions/end/")

    assert shown.count("data-session=") == 3
    assert "Chrome on Linux" in shown
    assert TokenSession.objects.get().revoked_at is not None
    assert other.get("/account/").headers["Location"].startswith("/sign-in/")
    assert page.get("/account/").status_code == 200


def test_pages_ask_for_a_fresh_proof_and_lead_back():
    user = sign_up("proof@example.com", PASSWORD)
    page = browser("proof@example.com")
    session = page.session
    session["_proved_at"] = (clock.now() - timedelta(minutes=11)).isoformat()
    session.save()

    asked = page.get("/account/app/")
    wrong = page.post("/account/confirm/", {"password": "no", "next": "/account/app/"})
    right = page.post("/account/confirm/", {"password": PASSWORD, "next": "/account/app/"})
    foreign = page.post("/account/confirm/", {"password": PASSWORD, "next": "//evil.example/"})

    assert asked.headers["Location"] == "/account/confirm/?next=%2Faccount%2Fapp%2F"
    assert wrong.status_code == 400
    assert right.headers["Location"] == "/account/app/"
    assert foreign.headers["Location"] == "/account/"
    assert page.get("/account/app/").status_code == 200
    assert User.objects.get(pk=user.pk).email == "proof@example.com"


def test_the_admin_has_the_same_door():
    sign_up("staff@example.com", PASSWORD)
    plain = sign_up("plain@example.com", PASSWORD, is_superuser=False)
    member = Client()
    member.force_login(plain)

    assert Client().get("/admin/login/?next=/admin/").headers["Location"] == "/sign-in/?next=%2Fadmin%2F"
    assert member.get("/admin/login/?next=/admin/").status_code == 403
    assert browser("staff@example.com").get("/admin/").status_code == 200


def test_sweeping_takes_page_sessions_past_their_end():
    sign_up("old@example.com", PASSWORD)
    browser("old@example.com")
    PageSession.objects.update(expire_date=clock.now() - timedelta(seconds=1))

    assert sessions.sweep(now=clock.now()) == PageSession.objects.count() + 1
    assert tokens.sweep(now=clock.now()) == 0


@pytest.mark.parametrize(("box", "value"), [("must_change_password", "on"), ("is_active", "")])
def test_an_administrator_who_asks_for_a_new_password_or_locks_somebody_out_ends_their_sockets(told, box, value):
    user = sign_up("locked@example.com", PASSWORD, is_superuser=False)
    sign_up("admin@example.com", PASSWORD)
    User.objects.filter(email="admin@example.com").update(is_staff=True)
    form = {"email": "locked@example.com", "is_active": "on", box: value}
    rows = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}

    page = browser("admin@example.com").post(f"/admin/accounts/user/{user.pk}/change/", {**form, **rows})

    assert page.status_code == 302
    assert {"kind": "sign_out", "userId": str(user.pk)} in told
