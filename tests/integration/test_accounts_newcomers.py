"""Registration as the operator allows it, invitations into a workspace, and workspaces to choose from."""

from functools import partial

import pytest
from django.core import mail
from django.test import Client

from nexgent import clock
from nexgent.accounts import grants, keys, letters, registration
from nexgent.accounts.models import Invitation, Membership, User
from nexgent.errors import Refusal
from tests.integration.api_client import ADDRESSES, Api, sign_up, signed_in
from tests.racing import together

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "Correct-Horse-9-Battery"
NEW = "Fresh-Staple-77-x"


def register(email, password=PASSWORD, **extra):
    return Api(address=next(ADDRESSES)).post("/api/v1/auth/register", {"email": email, "password": password, **extra})


def workspace(api):
    return next(each["id"] for each in api.get("/api/v1/workspaces").json() if each["isCurrent"])


@pytest.mark.parametrize("mode", ["off", "invite", "open"])
def test_registration_follows_its_mode(settings, mode):
    settings.REGISTRATION = mode

    answer = register("New@Example.com")

    expected = {"off": (403, "REGISTRATION_OFF"), "invite": (403, "INVITE_INVALID"), "open": (201, None)}[mode]
    assert (answer.status_code, answer.json().get("code")) == expected
    if mode == "open":
        body = answer.json()
        user = User.objects.get()
        assert set(body) == {"accessToken", "refreshToken", "user"}
        assert body["user"]["email"] == "new@example.com"
        assert (user.is_staff, user.is_superuser) == (False, False)
        assert Membership.objects.get().role == "owner"
        assert Api(body["accessToken"]).get("/api/v1/agents").json() == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "no", "password": PASSWORD}, "email"),
        ({"email": "a b@c.d", "password": PASSWORD}, "email"),
        ({"email": "a@example.com", "password": "12345678"}, "password"),
        ({"email": "a@example.com"}, "password"),
    ],
)
def test_a_wrong_registration_names_its_field(settings, body, field):
    settings.REGISTRATION = "open"

    answer = Api(address=next(ADDRESSES)).post("/api/v1/auth/register", body)

    assert answer.status_code == 400
    assert field in [error["field"] for error in answer.json()["details"]["errors"]]


def test_a_known_email_is_refused_without_saying_so_and_changes_nothing(settings):
    settings.REGISTRATION = "open"
    user = sign_up("known@example.com", PASSWORD)

    answer = register("KNOWN@example.com", NEW)

    assert (answer.status_code, answer.json()["code"]) == (400, "REGISTRATION_REFUSED")
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)


def test_registration_is_limited_per_address(settings):
    settings.REGISTRATION = "open"
    api = Api(address=next(ADDRESSES))

    statuses = [api.post("/api/v1/auth/register", {"email": "bad", "password": "x"}).status_code for _ in range(6)]

    assert statuses == [400] * 5 + [429]


def test_an_invitation_is_listed_mailed_used_once_and_opens_its_workspace(settings):
    settings.REGISTRATION = "invite"
    owner = signed_in("owner@example.com")
    place = workspace(owner)
    made = owner.post(f"/api/v1/workspaces/{place}/invitations", {"role": "viewer", "email": "new@example.com"})
    letters.drain()
    body = made.json()
    listed = owner.get(f"/api/v1/workspaces/{place}/invitations").json()

    wrong = register("somebody-else@example.com", inviteToken=body["inviteToken"])
    right = register("new@example.com", inviteToken=body["inviteToken"])
    again = register("third@example.com", inviteToken=body["inviteToken"])
    guest = Api(right.json()["accessToken"])

    assert made.status_code == 201
    assert body["url"].endswith(f"/invitation/{body['inviteToken']}/")
    assert (mail.outbox[0].to, body["url"] in mail.outbox[0].body) == (["new@example.com"], True)
    assert listed == [{name: value for name, value in body.items() if name not in ("inviteToken", "url")}]
    assert body["inviteToken"] not in str(Invitation.objects.values().get())
    assert [(each.status_code, each.json()["code"]) for each in (wrong, again)] == [(403, "INVITE_INVALID")] * 2
    assert workspace(guest) == place
    assert [each["role"] for each in guest.get("/api/v1/workspaces").json()] == ["viewer", "owner"]
    assert guest.post("/api/v1/agents", {"name": "Momentum"}).status_code == 403
    assert owner.get(f"/api/v1/workspaces/{place}/invitations").json() == []


def test_a_member_chooses_where_to_act():
    owner, guest = signed_in("owner@example.com"), signed_in("guest@example.com")
    home, place = workspace(guest), workspace(owner)
    secret = owner.post(f"/api/v1/workspaces/{place}/invitations", {"role": "trader"}).json()["inviteToken"]

    accepted = guest.post("/api/v1/invitations/accept", {"inviteToken": secret})
    there = workspace(guest)
    twice = guest.post("/api/v1/invitations/accept", {"inviteToken": secret})
    guest.post(f"/api/v1/workspaces/{home}/choose")
    back = workspace(guest)
    foreign = signed_in("third@example.com").post(f"/api/v1/workspaces/{place}/choose")

    assert (accepted.status_code, accepted.json()["role"]) == (200, "trader")
    assert (there, back) == (place, home)
    assert (twice.status_code, twice.json()["code"]) == (403, "INVITE_INVALID")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "WORKSPACE_NOT_FOUND")


def test_revoked_and_expired_invitations_are_invalid():
    owner, guest = signed_in("owner@example.com"), signed_in("guest@example.com")
    path = f"/api/v1/workspaces/{workspace(owner)}/invitations"
    revoked, expired = (owner.post(path, {"role": "viewer"}).json() for _ in range(2))

    gone = owner.delete(f"{path}/{revoked['id']}")
    Invitation.objects.filter(id=expired["id"]).update(expires_at=clock.now())
    answers = [
        guest.post("/api/v1/invitations/accept", {"inviteToken": each["inviteToken"]}) for each in (revoked, expired)
    ]

    assert gone.status_code == 204
    assert {answer.json()["code"] for answer in answers} == {"INVITE_INVALID"}
    assert owner.delete(f"{path}/{revoked['id']}").status_code == 404


def test_one_invitation_lets_one_of_eight_in():
    owner = signed_in("owner@example.com")
    secret = owner.post(f"/api/v1/workspaces/{workspace(owner)}/invitations", {"role": "viewer"}).json()["inviteToken"]
    users = [sign_up(f"guest{number}@example.com") for number in range(8)]

    def accept(user):
        try:
            registration.invitation_accept(user=user, secret=secret)
        except Refusal as refusal:
            return refusal.code
        return "in"

    outcomes = together([partial(accept, user) for user in users])

    assert sorted(outcomes) == ["INVITE_INVALID"] * 7 + ["in"]


def test_only_owners_invite_and_only_into_their_workspace():
    owner, stranger = signed_in("owner@example.com"), signed_in("stranger@example.com")
    place = workspace(owner)

    foreign = [
        stranger.get(f"/api/v1/workspaces/{place}/invitations").status_code,
        stranger.post(f"/api/v1/workspaces/{place}/invitations", {"role": "owner"}).status_code,
    ]
    Membership.objects.filter(user__email="owner@example.com").update(role="trader")

    assert foreign == [404, 404]
    assert owner.post(f"/api/v1/workspaces/{place}/invitations", {"role": "owner"}).status_code == 403


@pytest.mark.parametrize("mode", ["off", "invite", "open"])
def test_the_register_page_shows_a_form_when_allowed_else_a_sentence(settings, mode):
    settings.REGISTRATION = mode

    page = Client(REMOTE_ADDR=next(ADDRESSES)).get("/register/")

    sentence = {"off": "switched off", "invite": "by invitation", "open": "Password again"}[mode]
    assert page.status_code == 200
    assert sentence in page.content.decode()
    assert ("<form" in page.content.decode()) is (mode == "open")


def test_an_invitation_s_page_registers_or_accepts(settings):
    settings.REGISTRATION = "invite"
    owner = signed_in("owner@example.com")
    made = [
        owner.post(f"/api/v1/workspaces/{workspace(owner)}/invitations", {"role": "viewer"}).json() for _ in range(2)
    ]
    new, known = Client(REMOTE_ADDR=next(ADDRESSES)), Client(REMOTE_ADDR=next(ADDRESSES))
    member = sign_up("member@example.com", PASSWORD)
    known.force_login(member)

    assert new.get(f"/invitation/{made[0]['inviteToken']}/").headers["Location"] == "/invitation/"
    assert "Create an account" in new.get("/invitation/").content.decode()
    form = {"email": "new@example.com", "password": PASSWORD, "again": PASSWORD}
    assert new.post("/register/", form).headers["Location"] == "/"
    known.get(f"/invitation/{made[1]['inviteToken']}/")
    assert "Accept as member@example.com" in known.get("/invitation/").content.decode()
    assert known.post("/invitation/").headers["Location"] == "/"
    assert Client().get("/invitation/").status_code == 404
    assert sorted(Membership.objects.filter(role="viewer").values_list("user__email", flat=True)) == [
        "member@example.com",
        "new@example.com",
    ]


def test_an_invitation_of_somebody_who_owns_no_more_is_invalid():
    owner, other = sign_up("owner@example.com"), sign_up("other@example.com")
    place = Membership.objects.get(user=owner).workspace_id
    Membership.objects.create(workspace_id=place, user=other, role="owner")
    kept = registration.invite(workspace_id=place, by=other, role="owner")

    grants.member_remove(workspace_id=place, user_id=other.pk)

    assert not registration.open_invitations(place).exists()
    with pytest.raises(Refusal) as refused:
        registration.invitation_accept(user=other, secret=kept.secret)
    assert refused.value.code == "INVITE_INVALID"


def test_who_is_shown_out_has_a_workspace_of_their_own_and_no_key_of_the_other():
    owner, other = sign_up("owner@example.com", PASSWORD), sign_up("other@example.com")
    place = Membership.objects.get(user=owner).workspace_id
    Membership.objects.create(workspace_id=place, user=other, role="owner")
    key = keys.api_key_create(user_id=owner.pk, workspace_id=place, name="bot", scopes=["signals"])
    page = Client(REMOTE_ADDR=next(ADDRESSES))
    page.post("/sign-in/", {"email": "owner@example.com", "password": PASSWORD})

    grants.member_remove(workspace_id=place, user_id=owner.pk)

    assert Membership.objects.get(user=owner).workspace_id != place
    assert page.get("/account/").status_code == 200
    Membership.objects.create(workspace_id=place, user=owner, role="owner")
    assert Api(key.raw).get("/api/v1/trading-signals").status_code == 401


def test_a_person_without_a_workspace_sees_the_form_and_no_endless_redirect():
    user = sign_up("owner@example.com", PASSWORD)
    page = Client(REMOTE_ADDR=next(ADDRESSES))
    page.post("/sign-in/", {"email": "owner@example.com", "password": PASSWORD})
    Membership.objects.filter(user=user).delete()

    answer = page.get("/", follow=True)

    assert (answer.status_code, answer.request["PATH_INFO"]) == (200, "/sign-in/")
