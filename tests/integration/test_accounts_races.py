"""A password that changes while somebody signs in with the old one; caps that many reach for at once."""

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import connection, transaction
from django.test import Client

from nexgent import clock
from nexgent.accounts import factors, recovery, services, tokens
from nexgent.accounts.letters import link_hash
from nexgent.accounts.models import ApiKey, MailedLink, Membership, TokenSession, User
from nexgent.errors import InvalidInput, Refusal
from tests.integration.api_client import ADDRESSES, Api, sign_up, signed_in
from tests.racing import together
from tests.soft_key import SoftKey

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW, NEWER = "Correct-Horse-9-Battery", "Fresh-Staple-77-x", "Newer-Lamp-5-Orbit"
EMAIL = "race@example.com"


def change(current, new):
    services.password_change(user_id=User.objects.get(email=EMAIL).pk, current=current, new=new)


def code_now(secret):
    return totp.format_hotp_value(totp.hotp_value(secret, next(iter(totp.yield_hotp_counters_from_time()))))


def somebody_waits():
    """Whether another transaction waits for the one that asks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
        return cursor.fetchone() is not None


@pytest.fixture
def between(monkeypatch):
    """`between(work)` runs `work` once, when a sign-in has seen that the password is right and has no session yet."""

    def arrange(work):
        asked = factors.is_needed
        works = [work]

        def is_needed(user_id):
            while works:
                works.pop()()
            return asked(user_id)

        monkeypatch.setattr(factors, "is_needed", is_needed)

    return arrange


def test_a_sign_in_with_the_old_password_does_not_come_behind_its_change(between):
    sign_up(EMAIL, OLD)
    between(lambda: change(OLD, NEW))

    late = Api(address=next(ADDRESSES)).post("/api/v1/auth/login", {"email": EMAIL, "password": OLD})

    assert (late.status_code, late.json()["code"]) == (401, "AUTHENTICATION_ERROR")
    assert not TokenSession.objects.filter(revoked_at=None).exists()
    assert Api(address=next(ADDRESSES)).post("/api/v1/auth/login", {"email": EMAIL, "password": NEW}).status_code == 200


def test_a_page_that_was_entered_with_the_old_password_is_closed(between):
    sign_up(EMAIL, OLD)
    page = Client(REMOTE_ADDR=next(ADDRESSES))
    between(lambda: change(OLD, NEW))

    page.post("/sign-in/", {"email": EMAIL, "password": OLD})

    assert page.get("/account/").url == "/sign-in/?next=%2Faccount%2F"


def test_a_page_sign_in_that_waits_for_a_code_ends_with_the_password_it_began_with():
    user = sign_up(EMAIL, OLD)
    secret = factors.totp_offer(user).secret
    codes = factors.totp_add(user, secret=secret, code=code_now(secret))
    page = Client(REMOTE_ADDR=next(ADDRESSES))
    assert page.post("/sign-in/", {"email": EMAIL, "password": OLD}).url == "/sign-in/code/"
    change(OLD, NEW)

    asked = page.get("/sign-in/code/")
    late = page.post("/sign-in/code/", {"code": codes[0]})

    assert (asked.url, late.url) == ("/sign-in/", "/sign-in/")
    assert page.get("/account/").url == "/sign-in/?next=%2Faccount%2F"
    # and with the new one the code, which is not used yet, is taken
    page.post("/sign-in/", {"email": EMAIL, "password": NEW})
    assert page.post("/sign-in/code/", {"code": codes[0], "next": "/account/"}).status_code == 302
    assert page.get("/account/").status_code == 200


def test_a_mailed_link_that_is_used_while_the_password_changes_waits_and_is_good_no_more():
    user = sign_up(EMAIL, OLD)
    now, kind = clock.now(), MailedLink.Kind.RESET
    MailedLink.objects.create(
        kind=kind, user=user, secret_hash=link_hash("mailed"), created_at=now, expires_at=now + timedelta(hours=1)
    )
    use = partial(recovery.reset_use, secret="mailed", new=NEWER)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            User.objects.select_for_update(no_key=True).get(pk=user.pk)
            late = pool.submit(together, [use])
            while not somebody_waits():
                assert not late.done()
            services.password_set(user_id=user.pk, new=NEW)
        [problem] = late.result()

    assert isinstance(problem, Refusal)
    assert problem.code == "LINK_INVALID"
    assert User.objects.get(pk=user.pk).check_password(NEW)


def test_the_session_of_a_change_ends_when_another_change_follows():
    sign_up(EMAIL, OLD)
    first = services.password_change(user_id=User.objects.get().pk, current=OLD, new=NEW)
    change(NEW, NEWER)

    with pytest.raises(Exception, match="changed meanwhile"):
        tokens.open_session(first, remember_me=False, rotate=False)

    assert not TokenSession.objects.exists()


def test_of_two_changes_with_the_same_old_password_one_is_made():
    user = sign_up(EMAIL, OLD)

    said = together([lambda new=new: change(OLD, new) for new in (NEW, NEWER)])

    assert sorted(type(each) for each in said if each is not None) == [InvalidInput]
    user.refresh_from_db()
    assert [user.check_password(each) for each in (OLD, NEW, NEWER)].count(True) == 1


def test_renewing_a_hash_of_old_parameters_does_not_bring_an_old_password_back(monkeypatch):
    with monkeypatch.context() as other:
        other.setattr(Argon2PasswordHasher, "time_cost", 2)
        sign_up(EMAIL, OLD)
    stale = User.objects.get()
    before = stale.password
    change(OLD, NEW)

    assert stale.check_password(OLD) is True

    now = User.objects.get()
    assert (now.check_password(NEW), now.check_password(OLD)) == (True, False)
    # and one that nobody changed is renewed
    User.objects.update(password=before)
    fresh = User.objects.get()
    assert fresh.check_password(OLD) is True
    assert User.objects.get().password == fresh.password != before


def with_name(email):
    api = signed_in(email)
    api.client.defaults["SERVER_NAME"] = "localhost"  # the site of the software passkey
    return api


def passkey(api):
    """Adding a passkey, to be called; its challenge is there."""
    offer = api.post("/api/v1/auth/factors/passkeys/offer").json()
    body = {"challengeId": offer["challengeId"], "name": "Laptop", "credential": SoftKey().made(offer)}
    return lambda: api.post("/api/v1/auth/factors/passkeys", body)


def kinds():
    return sorted(factor.kind for factor in factors.listed(User.objects.get().pk))


@pytest.fixture
def meanwhile(monkeypatch):
    """`meanwhile(of, name, work)` begins `work` at the first call of `of.name`, or `after` it, in another connection;
    the call returns when the work is done, or waits for it. What it gives is asked for the work's result.
    """
    others = ThreadPoolExecutor(1)
    begun = []

    def begin(work):
        if not begun:
            begun.append(others.submit(together, [work]))
            wait(begun, timeout=1)

    def arrange(of, name, work, *, after=False):
        asked = getattr(of, name)

        def instead(*args):
            if after:
                found = asked(*args)
                begin(work)
                return found
            begin(work)
            return asked(*args)

        monkeypatch.setattr(of, name, instead)

        def done():
            return begun[0].result(timeout=20)[0]

        return done

    yield arrange
    others.shutdown()


def test_a_passkey_added_while_the_app_goes_has_recovery_codes(meanwhile):
    api = with_name(EMAIL)
    user = User.objects.get()
    secret = factors.totp_offer(user).secret
    factors.totp_add(user, secret=secret, code=code_now(secret))
    app = next(factor for factor in factors.listed(user.pk) if factor.kind == factors.TOTP)
    add = passkey(api)
    removed = meanwhile(factors, "_first_codes", lambda: factors.factor_remove(user, app.id), after=True)

    answer = add()

    assert (answer.status_code, answer.json()["recoveryCodes"], removed()) == (201, [], None)
    assert kinds() == ["recovery_codes", "webauthn"]


def test_two_first_factors_at_once_share_their_recovery_codes(meanwhile):
    api = with_name(EMAIL)
    user = User.objects.get()
    secret = factors.totp_offer(user).secret
    add = passkey(api)
    other = meanwhile(
        factors.RecoveryCodes, "activate", lambda: factors.totp_add(user, secret=secret, code=code_now(secret))
    )

    answer = add()

    assert (answer.status_code, len(answer.json()["recoveryCodes"]), other()) == (201, 10, [])
    assert kinds() == ["recovery_codes", "totp", "webauthn"]


def test_passkeys_added_at_once_stay_within_their_cap(monkeypatch):
    monkeypatch.setattr(factors, "PASSKEYS_MAX", 2)
    api = with_name(EMAIL)
    adds = [passkey(api) for _ in range(5)]

    answers = together(adds)

    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409]
    assert {answer.json().get("code") for answer in answers} == {None, "FACTOR_EXISTS"}
    assert kinds() == ["recovery_codes", "webauthn", "webauthn"]


MAKES = {
    "webhooks": ("/api/v1/webhooks", {"url": "https://bot.example.com/in"}, "TOO_MANY_WEBHOOKS", 20),
    "hooks": ("/api/v1/signal-hooks", {"name": "TradingView"}, "TOO_MANY_HOOKS", 50),
    "invitations": (None, {"role": "viewer"}, "TOO_MANY_INVITATIONS", 100),
    "keys": ("/api/v1/api-keys", {"name": "bot", "scopes": ["signals"]}, "TOO_MANY_KEYS", 50),
}


@pytest.mark.parametrize("kind", MAKES)
def test_twenty_at_once_stay_within_the_cap_of_a_workspace(kind):
    path, body, code, most = MAKES[kind]
    owner = signed_in(EMAIL)
    workspace_id = Membership.objects.get(user__email=EMAIL).workspace_id
    path = path or f"/api/v1/workspaces/{workspace_id}/invitations"
    for _ in range(most - 3):
        assert owner.post(path, body).status_code == 201

    answers = together([lambda: owner.post(path, body) for _ in range(20)])

    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [400] * 17
    assert {answer.json()["code"] for answer in answers if answer.status_code == 400} == {code}
    # and somebody else's workspace is not concerned
    other = signed_in("other@example.com")
    theirs = Membership.objects.get(user__email="other@example.com").workspace_id
    assert other.post(path.replace(str(workspace_id), str(theirs)), body).status_code == 201


def test_a_key_that_was_ended_makes_room_and_one_past_its_end_does_not():
    owner = signed_in(EMAIL)
    path, body, code, most = MAKES["keys"]
    made = [owner.post(path, body).json()["id"] for _ in range(most)]
    ApiKey.objects.filter(id=made[0]).update(expires_at=clock.now() - timedelta(days=1))

    full = owner.post(path, body)
    owner.delete(f"{path}/{made[1]}")
    after = owner.post(path, body)

    assert (full.status_code, full.json()["code"], after.status_code) == (400, code, 201)
