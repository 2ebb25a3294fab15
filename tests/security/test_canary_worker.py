"""No secret comes out of a worker: a real Celery process sends webhooks and letters, and its whole log is read."""

import os
import secrets
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import transaction

from nexgent import clock
from nexgent.accounts import registration
from nexgent.accounts.credentials import Letter
from nexgent.celery import app
from nexgent.events import services as events
from nexgent.events import webhooks
from nexgent.events.models import WebhookAttempt, WebhookDelivery
from nexgent.runtime import processes
from nexgent.runtime.embedded import die_with_parent
from tests.fakes.loopback import Fault, LoopbackServer
from tests.integration.api_client import sign_up
from tests.security.people import client_of, workspace_of
from tests.servers import ROOT, database_url, free_port

pytestmark = pytest.mark.django_db(transaction=True)


class Receiver(LoopbackServer):
    def answer(self, path, query, headers):
        return {"received": True}


@contextmanager
def default_worker(log, **more):
    """The process `default` of the table of processes, at its most talkative; all it writes goes to `log`."""
    environment = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "REDIS_URL": settings.REDIS_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "NEXGENT_PROCESS": "default",
        "LOG_LEVEL": "DEBUG",
        **more,
    }
    with log.open("wb") as written:
        process = subprocess.Popen(
            processes.argv("default"),
            cwd=ROOT,
            env=environment,
            stdout=written,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def until(what, *, seconds=40.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.1)


def test_no_canary_is_in_the_log_of_a_worker(tmp_path):
    owner, word = sign_up("owner@example.com"), secrets.token_hex(12)
    workspace, log = workspace_of(owner), tmp_path / "worker.log"
    invited = registration.invite(workspace_id=workspace, by=owner, role="viewer", email="friend@example.com", hours=1)
    with Receiver() as works, Receiver() as fails:
        fails.fault = Fault(status=500, body=f"no: {word}-answer".encode())
        urls = [f"{works.url}/in?token={word}-token", f"{fails.url}/in?key={word}-key"]
        urls.append(f"http://127.0.0.1:{free_port()}/{word}-path?secret={word}-secret")
        settings_of_worker = {
            "WEBHOOK_PRIVATE_ADDRESSES": "on",
            "EMAIL_URL": f"smtp://mailer:{word}-mail@127.0.0.1:{free_port()}",
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(settings, "WEBHOOK_PRIVATE_ADDRESSES", True)
            made = [client_of(owner).post("/api/v1/webhooks", {"url": url}).json() for url in urls]
        with transaction.atomic():
            events.append([events.NewEvent(workspace, "signal_created", {"n": 1}, clock.now())])

        with default_worker(log, **settings_of_worker):
            with app.connection_for_write() as broker:
                for name in (webhooks.DRAIN, "accounts.letters"):
                    app.send_task(name, queue="default", connection=broker)
            until(lambda: WebhookAttempt.objects.count() == 3)
            until(lambda: Letter.objects.filter(attempts__gt=0).exists())

    text = log.read_text(errors="replace")
    signature = works.requests[0][2]["nexgent-signature"].rpartition("v1=")[2]
    canaries = [word, signature, invited.secret, settings.SECRET_KEY, *(each["secret"] for each in made)]
    assert sorted(WebhookDelivery.objects.values_list("attempts", flat=True)) == [1, 1, 1]
    assert [query for _, query, _ in works.requests] == [{"token": [f"{word}-token"]}]
    assert webhooks.DRAIN in text
    assert [canary for canary in canaries if canary in text] == []
