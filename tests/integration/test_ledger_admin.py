"""The ledger in the admin: everything to be read, nothing to be changed."""

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import include, path

from nexgent.accounts.models import User
from nexgent.ids import uuid7
from nexgent.money import SOL_MINT
from tests.ledger import START, new_wallet
from wallets import services
from wallets.models import AccountRow, Entry, Hold, PostingRow, Wallet

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

urlpatterns = [path("admin/", admin.site.urls), path("i18n/", include("django.conf.urls.i18n"))]


@pytest.fixture
def wallet() -> Wallet:
    wallet = new_wallet()
    services.deposit(wallet_id=wallet.id, lamports=1_000, author="anna", at=START)
    services.hold([services.NewHold(uuid7(), wallet.id, SOL_MINT, 400, START)])
    return wallet


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.com", "a long pass phrase"))
    return client


@pytest.mark.parametrize("name", ["wallet", "accountrow", "entry", "hold"])
def test_every_list_opens_and_can_be_searched(client, wallet, name):
    listed = client.get(f"/admin/wallets/{name}/")
    searched = client.get(f"/admin/wallets/{name}/", {"q": wallet.address})

    assert (listed.status_code, searched.status_code) == (200, 200)
    assert searched.context["cl"].result_count > 0


def test_an_entry_shows_its_postings(client, wallet):
    entry = Entry.objects.get(wallet=wallet)

    page = client.get(f"/admin/wallets/entry/{entry.id}/change/").content.decode()

    assert "external" in page
    assert "-1000" in page.replace(",", "")


def test_an_account_has_a_page_of_its_own(client, wallet):
    row = AccountRow.objects.get(kind="own")

    page = client.get(f"/admin/wallets/accountrow/{row.pk.replace(':', '_3A')}/change/")

    assert (row.pk, row.balance, row.held) == (f"{wallet.id}:{SOL_MINT}:own", 1_000, 400)
    assert page.status_code == 200


def test_the_posting_rows_are_the_postings(wallet):
    rows = PostingRow.objects.values_list("line", "kind", "amount")

    assert list(rows) == [(0, "own", 1_000), (1, "external", -1_000)]


@pytest.mark.parametrize("model", [Wallet, AccountRow, Entry, Hold])
def test_not_even_a_superuser_changes_anything(wallet, model):
    request = RequestFactory().get("/")
    request.user = User.objects.create_superuser("root@example.com", "a long pass phrase")
    registered = admin.site._registry[model]

    allowed = [
        registered.has_add_permission(request),
        registered.has_change_permission(request),
        registered.has_delete_permission(request),
    ]

    assert allowed == [False, False, False]
    assert registered.has_view_permission(request)
