"""No secret comes out: canaries sent through every route, looked for in logs, metrics, answers, admin and audit."""

import io
import json
import logging
import re
import secrets
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import DatabaseError, connection, transaction
from django.test import Client
from solders.keypair import Keypair

from nexgent.accounts import services, tokens
from nexgent.accounts.models import AuditEntry, User
from nexgent.api import document, throttling
from nexgent.runtime import logs, metrics
from tests.integration.api_client import sign_up
from tests.security.people import browser_of, workspace_of
from tests.servers import own_valkey, web_server

pytestmark = pytest.mark.django_db(transaction=True)
KINDS = 11


class Canaries:
    """One secret of each kind, all of them real where they can be."""

    def __init__(self, owner, settings):
        word = secrets.token_hex(8)
        settings.METRICS_TOKEN = f"metrics-{word}"
        pair = tokens.open_session(owner, remember_me=False, rotate=True)
        workspace = workspace_of(owner)
        self.password = f"Canary-Horse-9-{word}"
        self.key = services.api_key_create(
            user_id=owner.id, workspace_id=workspace, name="canary", scopes=["signals"]
        ).raw
        self.access, self.refresh = pair.access, str(pair.refresh)
        self.ticket = secrets.token_urlsafe(32)
        self.link = secrets.token_urlsafe(32)
        self.wallet = str(Keypair())
        self.totp = "CANARY" + secrets.token_hex(13).upper()
        self.webhook = f"whsec_{word}"
        self.metrics = settings.METRICS_TOKEN
        self.session = ""

    def fields(self):
        """As a body or an address carries them; more than any route asks for."""
        return {
            "password": self.password,
            "currentPassword": self.password,
            "newPassword": self.password,
            "refreshToken": self.refresh,
            "token": self.access,
            "ticket": self.ticket,
            "inviteToken": self.link,
            "apiKey": self.key,
            "secret": self.webhook,
            "webhookSecret": self.webhook,
            "totpSecret": self.totp,
            "privateKey": self.wallet,
            "secretKey": self.wallet,
        }

    def found_in(self, text):
        return [name for name, value in vars(self).items() if value and value in text]


@pytest.fixture
def owner():
    return sign_up("owner@example.com")


@pytest.fixture
def canaries(owner, settings):
    return Canaries(owner, settings)


@pytest.fixture
def written(monkeypatch, canaries):
    """What a process writes at its most talkative; the former logging comes back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    text = io.StringIO()
    monkeypatch.setattr(sys, "stderr", text)
    monkeypatch.setattr(throttling.Limit, "allow_request", lambda *_: True)
    logs.configure(level="DEBUG", form="json", process="web", secrets=[canaries.metrics])
    lines: list[str] = []
    (handler,) = (known for known in root.handlers if isinstance(known, logs._StandardError))
    monkeypatch.setattr(handler, "emit", lambda record: lines.append(handler.format(record)))
    yield lambda: "\n".join(lines)
    root.handlers[:] = handlers
    root.setLevel(level)


def ask_everything(canaries):
    """Every route with every secret in body, address, header and cookie; returns what was answered."""
    answered = []
    query = "&".join(f"{name}={quote(value)}" for name, value in canaries.fields().items())
    absent = "018f0000-0000-7000-8000-000000000009"
    for route in document.routes():
        operation = route.operation
        if operation is not None and operation.produces == "text/event-stream":
            continue
        path = re.sub(r"{(number|signalId|level)}", "1", route.path)
        path = f"{re.sub(r'{.*?}', absent, path)}?{query}"
        body = json.dumps({**(operation.example or {}), **canaries.fields()} if operation else canaries.fields())
        for headers in (
            {"Authorization": f"Bearer {canaries.access}", "X-CSRFToken": canaries.link},
            {"X-API-Key": canaries.key, "Cookie": f"nexgent_session={canaries.ticket}"},
        ):
            if route.path.endswith(("/logout", "/revoke-all", "/api-keys", "/rotate", "/webhooks")):
                headers = {"Authorization": f"Basic {canaries.password}"}
            client = Client(raise_request_exception=False)
            answer = client.generic(route.method, path, body, content_type="application/json", headers=headers)
            answered.append(f"{answer.headers} " + ("" if answer.streaming else answer.content.decode()))
    return answered


def ask_pages(canaries):
    """Links with secrets in their paths, a form with a wrong password, a request that breaks."""
    client = Client(raise_request_exception=False)
    answers = [
        client.get(f"/reset/{canaries.link}/"),
        client.get(f"/invitation/{canaries.link}/"),
        client.post("/sign-in/", {"email": "owner@example.com", "password": canaries.password}),
        client.post("/admin/login/", {"username": "owner@example.com", "password": canaries.password}),
    ]
    logging.getLogger("nexgent.test").error("failed with %s", canaries.fields(), extra={"body": canaries.fields()})
    try:
        raise ValueError(f"venue refused: Authorization: Bearer {canaries.access}, key {canaries.wallet}")
    except ValueError:
        logging.getLogger("nexgent.test").exception("a call failed")
    return [answer.content.decode().replace(canaries.link, "", 0) for answer in answers]


def test_no_canary_is_in_a_log_or_an_answer(owner, canaries, written):
    owner = services.password_change(user_id=owner.id, current="Correct-Horse-9-Battery", new=canaries.password)
    pair = tokens.open_session(owner, remember_me=False, rotate=True)
    canaries.access, canaries.refresh = pair.access, str(pair.refresh)

    answered = ask_everything(canaries)
    ask_pages(canaries)

    text = written()
    assert len(answered) > 150
    assert len(text.splitlines()) > 100
    assert canaries.found_in(text) == []
    told = [(name, answer[:200]) for answer in answered for name in canaries.found_in(answer)]
    assert told == []
    assert len(canaries.fields()) > KINDS


def test_no_canary_is_in_metrics_audit_or_admin(owner, canaries, written):
    services.password_change(user_id=owner.id, current="Correct-Horse-9-Battery", new=canaries.password)
    owner.refresh_from_db()
    ask_everything(canaries)
    browser = browser_of(owner)
    canaries.session = browser.cookies["nexgent_session"].value
    hashes = [User.objects.get(id=owner.id).password, *owner.api_keys.values_list("key_hash", flat=True)]

    pages = []
    for model, page in admin.site._registry.items():
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        answer = browser.get(base)
        assert answer.status_code == 200, base
        pages.append(answer.content.decode())
        for pk in list(page.get_queryset(answer.wsgi_request).values_list("pk", flat=True)[:5]):
            shown = browser.get(f"{base}{quote(str(pk), safe='')}/change/", follow=True)
            pages.append(shown.content.decode())
    text = metrics.text().decode()
    trail = json.dumps([[entry.before, entry.after, entry.route, entry.actor] for entry in AuditEntry.objects.all()])

    assert len(pages) > 40
    assert "nexgent_" in text
    assert len(trail) > 1000
    for place, content in (("metrics", text), ("audit", trail), *(("admin", page) for page in pages)):
        assert canaries.found_in(content) == [], place
        assert [value for value in hashes if value in content] == [], place


def test_routes_in_metrics_are_patterns_and_never_paths(owner, canaries):
    from nexgent.runtime import counters

    Client().get(f"/reset/{canaries.link}/")
    Client().get("/api/v1/agents/018f0000-0000-7000-8000-000000000009")
    names = {part for name in counters._waiting for part in name}

    assert "api/v1/agents/<str:agent_id>" in names
    assert [name for name in names if canaries.link in name or "018f0000" in name] == []


def test_no_canary_is_in_the_log_of_a_web_process(owner, canaries, capfd):
    with own_valkey() as valkey, web_server(valkey.redis_url, more={"LOG_LEVEL": "DEBUG"}) as web:
        import http.client

        for path, headers in (
            (f"/ws?token={canaries.access}&agentId=1", {}),
            (f"/ws?ticket={canaries.ticket}", {}),
            (f"/reset/{canaries.link}/", {}),
            (f"/invitation/{canaries.link}/", {}),
            (f"/api/v1/agents?apiKey={canaries.key}", {"X-API-Key": canaries.key}),
            ("/api/v1/agents", {"Authorization": f"Bearer {canaries.refresh}"}),
            (f"/api/v1/hooks/{canaries.link}", {}),
        ):
            line = http.client.HTTPConnection("127.0.0.1", web.port, timeout=5)
            line.request("GET", path, headers=headers)
            assert line.getresponse().status < 500
            line.close()
    text = capfd.readouterr().err

    assert "/ws?token=[redacted]" in text
    assert "/reset/[redacted]/" in text
    assert canaries.found_in(text) == []


def test_the_databases_log_repeats_no_failed_statement(owner, canaries):
    word = secrets.token_hex(12)
    with pytest.raises(DatabaseError), transaction.atomic():
        User.objects.create(email=owner.email, password=word)

    servers = Path(connection.settings_dict["HOST"]).parent  # of the run's one PostgreSQL, whoever started it
    logged = "".join(path.read_text(errors="replace") for path in servers.glob("*.log"))
    assert "user_email" in logged
    assert word not in logged
    assert apps.is_installed("nexgent.accounts")


def test_a_canary_that_is_not_hidden_is_found(canaries, written):
    logging.getLogger("nexgent.test").warning("plain word %s", canaries.password)

    assert canaries.found_in(written()) == ["password"]
