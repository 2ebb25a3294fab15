"""Lost passwords, changed e-mails, and the letters about them: equal answers, links that are good once, retries."""

import re
import statistics
import time
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client

from nexgent import clock
from nexgent.accounts import letters, recovery, services
from nexgent.accounts.models import Letter, LoginGuard, MailedLink, TokenSession, User
from nexgent.errors import Refusal
from nexgent.events.models import Alarm
from nexgent.runtime import mail as mail_settings
from tests.integration.api_client import ADDRESSES, Api, sign_up
from tests.racing import together

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "Correct-Horse-9-Battery"
NEW = "Fresh-Staple-77-x"


def ask_reset(email, address=None):
    return Api(address=address or next(ADDRESSES)).post("/api/v1/auth/password-reset", {"email": email})


def link(kind):
    """The secret of the newest letter's link."""
    return re.findall(rf"/{kind}/([\w-]+)/$", mail.outbox[-1].body, re.M)[0]


def test_a_lost_password_is_replaced_and_everything_ends():
    sign_up("lost@example.com", PASSWORD)
    pair = Api(address=next(ADDRESSES)).post("/api/v1/auth/login", {"email": "lost@example.com", "password": PASSWORD})

    asked = ask_reset("Lost@Example.com")
    letters.drain()
    secret = link("reset")
    weak = Api().post("/api/v1/auth/password-reset/confirm", {"token": secret, "password": "12345"})
    done = Api().post("/api/v1/auth/password-reset/confirm", {"token": secret, "password": NEW})
    again = Api().post("/api/v1/auth/password-reset/confirm", {"token": secret, "password": PASSWORD})

    assert asked.status_code == 202
    assert secret not in str(list(MailedLink.objects.values()) + list(Letter.objects.values()))
    assert (weak.status_code, done.status_code) == (400, 200)
    assert (again.status_code, again.json()["code"]) == (400, "LINK_INVALID")
    assert Api(pair.json()["accessToken"]).get("/api/v1/auth/me").status_code == 401
    assert TokenSession.objects.filter(revoked_at=None).count() == 0
    assert services.authenticate(email="lost@example.com", password=NEW, address="x").email == "lost@example.com"


def test_an_unknown_email_gets_the_same_answer_in_the_same_time_and_no_letter():
    sign_up("known@example.com", PASSWORD)
    seconds: dict[str, list[float]] = {"known@example.com": [], "unknown@example.com": []}
    bodies = set()
    for _ in range(4):
        for email, taken in seconds.items():
            begun = time.perf_counter()
            answer = ask_reset(email)
            taken.append(time.perf_counter() - begun)
            bodies.add((answer.status_code, answer.content))
    letters.drain()

    known, unknown = (statistics.median(taken) for taken in seconds.values())
    assert len(bodies) == 1
    assert {letter.to[0] for letter in mail.outbox} == {"known@example.com"}
    assert Letter.objects.count() == 0
    assert abs(known - unknown) < 0.05


def test_expired_and_foreign_links_are_invalid_and_a_used_one_ends_the_others():
    user = sign_up("links@example.com", PASSWORD)
    secrets = []
    for _ in range(3):
        ask_reset("links@example.com")
        letters.drain()
        secrets.append(link("reset"))
    MailedLink.objects.filter(secret_hash=letters.link_hash(secrets[0])).update(expires_at=clock.now())

    with pytest.raises(Refusal, match="expired"):
        recovery.reset_use(secret=secrets[0], new=NEW)
    recovery.reset_use(secret=secrets[1], new=NEW)
    for secret in (secrets[2], "nonsense", ""):
        with pytest.raises(Refusal) as caught:
            recovery.reset_use(secret=secret, new=PASSWORD)
        assert caught.value.code == "LINK_INVALID"
    with pytest.raises(Refusal):
        recovery.email_use(secret=secrets[2], user_id=user.pk)


def test_asking_too_often_locks_known_and_unknown_alike():
    sign_up("often@example.com", PASSWORD)
    for email in ("often@example.com", "nobody@example.com"):
        codes = []
        for _ in range(7):
            try:
                recovery.reset_ask(email=email, address="10.8.8.8")
                codes.append("sent")
            except Refusal as refusal:
                codes.append(refusal.code)
        assert codes == ["sent"] * 5 + ["ACCOUNT_LOCKED"] * 2
    assert LoginGuard.objects.count() == 2


def test_the_pages_of_a_lost_password_hide_the_secret_and_lead_to_sign_in():
    sign_up("page@example.com", PASSWORD)
    client = Client(REMOTE_ADDR=next(ADDRESSES))
    client.post("/reset/", {"email": "page@example.com"})
    letters.drain()

    opened = client.get(f"/reset/{link('reset')}/")
    differ = client.post("/reset/new/", {"password": NEW, "again": "x"})
    done = client.post("/reset/new/", {"password": NEW, "again": NEW})

    assert opened.headers["Location"] == "/reset/new/"
    assert differ.status_code == 400
    assert done.headers["Location"] == "/sign-in/?changed=1"
    assert client.get("/reset/new/").status_code == 404


def test_an_email_changes_when_the_new_address_says_so():
    user = sign_up("old@example.com", PASSWORD)
    client = Client(REMOTE_ADDR=next(ADDRESSES))
    client.post("/sign-in/", {"email": "old@example.com", "password": PASSWORD})

    bad = client.post("/account/email/", {"email": "no"})
    client.post("/account/email/", {"email": "New@Example.com"})
    letters.drain()
    secret = link("account/email")
    before = User.objects.get(pk=user.pk).email
    client.get(f"/account/email/{secret}/")
    letters.drain()

    assert bad.status_code == 400
    assert (mail.outbox[0].to, before) == (["new@example.com"], "old@example.com")
    assert User.objects.get(pk=user.pk).email == "new@example.com"
    assert (mail.outbox[-1].to, "new@example.com" in mail.outbox[-1].body) == (["old@example.com"], True)
    with pytest.raises(Refusal):
        recovery.email_use(secret=secret, user_id=user.pk)


def test_nobody_takes_an_email_that_belongs_to_somebody():
    user, other = sign_up("mine@example.com", PASSWORD), sign_up("theirs@example.com", PASSWORD)
    recovery.email_ask(user=user, email="theirs@example.com")
    recovery.email_ask(user=user, email="free@example.com")
    letters.drain()
    secret = link("account/email")
    User.objects.filter(pk=other.pk).update(email="free@example.com")

    assert [letter.to for letter in mail.outbox] == [["free@example.com"]]
    with pytest.raises(Refusal, match="not valid"):
        recovery.email_use(secret=secret, user_id=user.pk)
    with pytest.raises(Refusal):
        recovery.email_use(secret=secret, user_id=other.pk)


def test_a_letter_that_cannot_leave_is_tried_again_and_an_alarm_says_so(monkeypatch):
    user = sign_up("mail@example.com", PASSWORD)
    letters.notice(user, "Something changed.")

    def refuse(*_args, **_kwargs):
        raise ConnectionRefusedError

    with monkeypatch.context() as broken:
        broken.setattr("django.core.mail.EmailMessage.send", refuse)
        for _ in range(3):
            Letter.objects.update(due_at=clock.now())
            assert letters.drain() == 0
    waiting = Letter.objects.get()
    alarm = Alarm.objects.get(code="LETTERS_UNSENT")
    Letter.objects.update(due_at=clock.now())

    assert (waiting.attempts, alarm.detail["problem"], alarm.cleared_at) == (3, "ConnectionRefusedError", None)
    assert waiting.due_at - clock.now() > timedelta(minutes=1)
    assert letters.drain() == 1
    assert Alarm.objects.get(code="LETTERS_UNSENT").cleared_at is not None


def test_two_drains_send_a_letter_once():
    letters.notice(sign_up("once@example.com", PASSWORD), "Something changed.")

    sent = together([letters.drain] * 4)

    assert (sorted(sent), len(mail.outbox)) == ([0, 0, 0, 1], 1)


def test_where_letters_leave():
    smtp = mail_settings.settings_of("smtp://me:p%40ss@mail.example.com?from=bot@example.com", host="")
    plain = mail_settings.settings_of("smtp://127.0.0.1:25?tls=off", host="nex.example.com")
    tls = mail_settings.settings_of("smtps://mail.example.com", host="")
    file = mail_settings.settings_of("file:///var/mail%20box", host="")
    console = mail_settings.settings_of("console://", host="")

    assert (smtp["EMAIL_PORT"], smtp["EMAIL_HOST_PASSWORD"], smtp["EMAIL_USE_TLS"]) == (587, "p@ss", True)
    assert smtp["DEFAULT_FROM_EMAIL"] == "bot@example.com"
    assert (plain["EMAIL_PORT"], plain["EMAIL_USE_TLS"], plain["EMAIL_USE_SSL"]) == (25, False, False)
    assert plain["DEFAULT_FROM_EMAIL"] == "nexgent@nex.example.com"
    assert (tls["EMAIL_PORT"], tls["EMAIL_USE_SSL"], tls["EMAIL_USE_TLS"]) == (465, True, False)
    assert file["EMAIL_FILE_PATH"] == "/var/mail box"
    assert console["EMAIL_BACKEND"] == "nexgent.runtime.mail_console.EmailBackend"


@pytest.mark.parametrize("way", ["password", "email"])
def test_links_to_a_new_password_end_with_a_change_of_password_or_email(way):
    user = sign_up("person@example.com", PASSWORD)
    secret = "s" * 43
    now = clock.now()
    MailedLink.objects.create(
        kind="reset",
        user=user,
        secret_hash=letters.link_hash(secret),
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )
    MailedLink.objects.create(
        kind="email",
        user=user,
        secret_hash=letters.link_hash("e" * 43),
        email="fresh@example.com",
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )
    assert recovery.is_good(secret)

    if way == "password":
        services.password_change(user_id=user.pk, current=PASSWORD, new="Fresh-Staple-77-x")
    else:
        recovery.email_use(secret="e" * 43, user_id=user.pk)

    assert not recovery.is_good(secret)
