"""Headers of every answer: pages, errors, the admin, the API, static files; and which of a request's are believed."""

import re

import pytest
from django.test import Client, RequestFactory, override_settings
from django.urls import path

from nexgent.api.addresses import client_address
from nexgent.web.security import Headers
from tests.integration.api_client import Api, sign_up
from tests.security.people import browser_of, client_of

pytestmark = pytest.mark.django_db(transaction=True)

BOOM = "/boom/"


def boom(_request):
    raise ZeroDivisionError


@pytest.fixture
def with_boom(settings):
    from nexgent import urls

    routes = type(urls)("routes_with_boom")
    routes.urlpatterns = [path("boom/", boom), path("api/v1/boom", boom), *urls.urlpatterns]
    routes.handler500, routes.handler404 = urls.handler500, urls.handler404
    routes.handler400, routes.handler403 = urls.handler400, urls.handler403
    settings.ROOT_URLCONF = routes


def directives(answer):
    """The policy as {directive: sources}."""
    parts = [part.split() for part in answer.headers["Content-Security-Policy"].split(";") if part.strip()]
    return {part[0]: part[1:] for part in parts}


def test_every_answer_says_what_a_browser_may_not_do(with_boom):
    owner = sign_up("owner@example.com")
    signed, stranger = browser_of(owner), Client(raise_request_exception=False)
    answers = {
        "page": signed.get("/"),
        "sign-in": stranger.get("/sign-in/"),
        "not found": signed.get("/nothing/"),
        "refused": Client(enforce_csrf_checks=True).post("/sign-in/", {}),
        "failed": stranger.get(BOOM),
        "api": client_of(owner).get("/api/v1/agents"),
        "api not found": Api().get("/api/v1/nothing"),
        "api failed": stranger.get("/api/v1/boom"),
        "admin": signed.get("/admin/"),
        "admin not found": signed.get("/admin/nothing/"),
        "static": stranger.get("/static/icon.svg"),
        "foreign host": stranger.get("/", headers={"Host": "evil.example"}),
        "health": stranger.get("/health/live"),
        "reference": stranger.get("/api/v1/docs"),
    }

    statuses = {name: answer.status_code for name, answer in answers.items()}
    assert statuses["failed"] == statuses["api failed"] == 500
    assert (statuses["refused"], statuses["foreign host"], statuses["not found"]) == (403, 400, 404)
    for name, answer in answers.items():
        headers = answer.headers
        assert headers["X-Content-Type-Options"] == "nosniff", name
        assert headers["Referrer-Policy"] == "same-origin", name
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", name
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin", name
        assert "camera=()" in headers["Permissions-Policy"], name
        assert "Strict-Transport-Security" not in headers, name
        assert "x-request-id" in headers, name
        if name != "static":
            policy = directives(answer)
            assert policy["default-src"] == ["'none'"], name
            assert policy["frame-ancestors"] == ["'none'"], name
        if name not in ("static",) and not name.startswith("admin"):
            assert "unsafe" not in headers["Content-Security-Policy"], name
    assert "'unsafe-eval'" in directives(answers["admin"])["script-src"]


@pytest.mark.parametrize("address", ["/sign-in/", "/api/v1/docs"])
def test_nothing_on_a_page_is_inline_or_foreign(address):
    first, second = Client().get(address), Client().get(address)
    text = first.content.decode()
    nonces = set(re.findall(r'nonce="([^"]+)"', text))

    assert re.findall(r"\son\w+=|javascript:|style=", text) == []
    assert re.findall(r"<(?:script|style)(?![^>]*nonce=)[^>]*>", text) == []
    assert re.findall(r'(?:src|href|action)="(?:https?:)?//[^"]*"', text) == []
    assert len(nonces) == 1
    assert directives(first)["script-src"] == [f"'nonce-{nonces.pop()}'"]
    assert directives(first)["script-src"] != directives(second)["script-src"]


def test_https_is_remembered_by_browsers_when_the_public_address_has_it(settings):
    settings.PUBLIC_URL = "https://trade.example"

    answer = Client().get("/sign-in/")

    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_cookies_are_out_of_reach_of_scripts(client):
    owner = sign_up("owner@example.com")
    client.post("/sign-in/", {"email": owner.email, "password": "Correct-Horse-9-Battery"})

    cookie = client.cookies["nexgent_session"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_what_may_hold_a_secret_is_kept_by_nobody():
    owner = sign_up("owner@example.com")
    api = client_of(owner)
    secret = [
        Api().post("/api/v1/auth/login", {"email": owner.email, "password": "Correct-Horse-9-Battery"}),
        api.post("/api/v1/api-keys", {"name": "Bot", "scopes": ["signals"]}),
    ]

    assert [answer.status_code for answer in secret] == [200, 201]
    assert {answer.headers["Cache-Control"] for answer in secret} == {"no-store"}
    assert api.get("/api/v1/auth/me").headers["Cache-Control"] == "private, no-cache"
    assert "no-store" in browser_of(owner).get("/").headers["Cache-Control"]


def test_a_form_of_a_foreign_site_is_refused():
    owner = sign_up("owner@example.com")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(owner, backend="nexgent.accounts.authentication.EmailBackend")

    assert browser.post("/setup/agent/").status_code == 403
    assert browser.post("/api/v1/agents", {"name": "x"}, content_type="application/json").status_code == 403
    assert browser.post("/admin/agents/agent/", {"action": "stop_exits"}).status_code == 403


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "expected"),
    [
        ([], "203.0.113.9", "198.51.100.1", "203.0.113.9"),
        (["10.0.0.0/8"], "203.0.113.9", "198.51.100.1", "203.0.113.9"),
        (["10.0.0.0/8"], "10.0.0.1", "198.51.100.1", "198.51.100.1"),
        (["10.0.0.0/8"], "10.0.0.1", "127.0.0.1, 198.51.100.1", "198.51.100.1"),
        (["10.0.0.0/8"], "10.0.0.1", "127.0.0.1, 198.51.100.1, 10.0.0.7", "198.51.100.1"),
        (["10.0.0.0/8"], "10.0.0.1", "", "10.0.0.1"),
        (["10.0.0.0/8"], "10.0.0.1", "x" * 200, "x" * 45),
    ],
)
def test_a_forwarded_address_counts_from_trusted_proxies_only(settings, proxies, peer, forwarded, expected):
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)

    assert client_address(request) == expected


@pytest.mark.parametrize(("peer", "is_secure"), [("203.0.113.9", False), ("10.0.0.1", True)])
def test_https_is_believed_from_trusted_proxies_only(settings, peer, is_secure):
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    seen = []
    with override_settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https")):
        request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_PROTO="https")
        Headers(lambda asked: seen.append(asked.is_secure()) or Client().get("/health/live"))(request)

    assert seen == [is_secure]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost:80@evil.example", "", "a b"])
def test_a_foreign_host_is_refused_everywhere(host):
    pages = [Client().get(address, headers={"Host": host}) for address in ("/", "/sign-in/", "/admin/")]
    answer = Client().get("/api/v1/agents", headers={"Host": host})

    assert {page.status_code for page in pages} == {400}
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert "evil" not in answer.content.decode()


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example"])
def test_scripts_of_foreign_sites_get_no_permission(origin):
    answer = Client().options("/api/v1/agents", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})

    assert answer.status_code == 204
    assert "Access-Control-Allow-Origin" not in answer.headers
