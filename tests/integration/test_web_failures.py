"""Pages for what went wrong: our look, a way back, the strict policy; the API keeps its own answers."""

import re
from typing import Any

import pytest
from django.contrib.auth.password_validation import password_validators_help_texts
from django.test import Client
from django.test.utils import override_settings
from django.urls import path

from nexgent import urls
from nexgent.accounts import services as accounts
from nexgent.accounts.models import Membership, Role, User
from nexgent.web.templatetags import figures

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct-horse-battery-9"


@pytest.fixture
def owner() -> User:
    return accounts.user_create(email="owner@example.com", password=PASSWORD)


def signed_in(user: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def is_our_page(answer: Any, title: str) -> bool:
    html = answer.content.decode()
    nonce = re.search(r"script-src 'nonce-([^']+)'", answer.headers["Content-Security-Policy"])
    assert nonce is not None
    tags = re.findall(r"<(?:script|link rel=\"stylesheet\")[^>]*>", html)
    assert len(tags) >= 2
    assert all(f'nonce="{nonce[1]}"' in tag for tag in tags)
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", html)
    return f">{title}</h1>" in html and '<a href="/"' in html and "data-theme-toggle" in html


def test_an_address_that_is_none_is_a_page_with_a_way_back() -> None:
    answer = Client().get("/nowhere/")

    assert answer.status_code == 404
    assert is_our_page(answer, "Nothing is here")


def test_the_api_keeps_its_own_answer() -> None:
    answer = Client().get("/api/v1/nowhere")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_a_role_that_does_not_suffice_is_a_page_and_to_a_button_a_word_beside_it(owner: User) -> None:
    Membership.objects.filter(user=owner).update(role=Role.VIEWER)
    client = signed_in(owner)

    page = client.post("/setup/agent/")
    button = client.post("/setup/agent/", HTTP_HX_REQUEST="true")

    assert page.status_code == button.status_code == 403
    assert is_our_page(page, "Not allowed")
    assert button.headers["HX-Reswap"] == "none"
    assert 'hx-swap-oob="beforeend:#toasts"' in button.content.decode()


def test_a_form_without_its_token_is_told_what_to_do() -> None:
    answer = Client(enforce_csrf_checks=True).post("/sign-in/", {"email": "a@example.com", "password": "x"})

    assert answer.status_code == 403
    assert is_our_page(answer, "Not allowed")
    assert "load the page anew" in answer.content.decode()


def fails(_request: Any) -> Any:
    raise RuntimeError("secret detail")


class Failing:
    urlpatterns = [path("fails/", fails), *urls.urlpatterns]
    handler400, handler403, handler404, handler500 = (
        urls.handler400,
        urls.handler403,
        urls.handler404,
        urls.handler500,
    )


@override_settings(ROOT_URLCONF=Failing)
def test_an_error_of_ours_is_a_page_that_names_the_request_and_tells_nothing_else(owner: User) -> None:
    answer = signed_in(owner).get("/fails/")

    assert answer.status_code == 500
    assert is_our_page(answer, "Something went wrong on our side")
    assert answer.headers["X-Request-Id"] in answer.content.decode()
    assert "secret detail" not in answer.content.decode()


def test_the_rules_of_a_password_are_said_beforehand(settings: Any) -> None:
    settings.REGISTRATION = "open"

    page = Client().get("/register/").content.decode()

    assert "At least 8 characters" in page
    assert 'aria-describedby="password-rules"' in page
    assert any("at least 8 characters" in rule for rule in password_validators_help_texts())


def test_times_of_the_account_page_have_the_form_of_all_pages(owner: User) -> None:
    client = signed_in(owner)
    page = client.get("/account/")

    since = page.context["sessions"][0][0].created_at

    assert f"since {figures.moment(since)} · last used" in page.content.decode()
