"""Metrics: what a scrape says, who may ask, what it costs, and that it goes on when a server is away."""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
import redis
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from nexgent import clock
from nexgent.accounts import tokens
from nexgent.accounts.models import Membership, Role
from nexgent.events import alarms, bell
from nexgent.events.models import Alarm
from nexgent.runtime import counters, ledger_watch, metrics, metrics_valkey, presence, stages
from nexgent.runtime.health import QUEUES
from nexgent.runtime.models import BooksCheck
from tests.integration.api_client import Api, sign_up, signed_in
from tests.trader import Trader
from trading.engine import locks
from trading.models import Purpose, Side

SECRET = "only-for-the-scraper"
QUERIES_MAX = 15


@pytest.fixture(autouse=True)
def valkey():
    """No counters of other tests, neither in Valkey nor on their way there."""
    client = presence.client()
    counters.write(client)
    client.delete(counters.KEY, *QUEUES)
    yield client
    client.close()


def scrape():
    """{(name, labels): value} of a scrape; labels as text."""
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[sample.name, labels] = sample.value
    return found


def at(seconds: float) -> str:
    return (datetime(2026, 1, 5, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/metrics", "/api/v1/metrics/"])
@pytest.mark.django_db(transaction=True)
def test_the_scrapers_token_reads_metrics(settings, path):
    settings.METRICS_TOKEN = SECRET

    answer = Api(SECRET).get(path)

    assert answer.status_code == 200
    assert answer["content-type"].startswith("text/plain")
    assert "# TYPE nexgent_orders_open gauge" in answer.content.decode()


@pytest.mark.parametrize("token", [None, "wrong", SECRET[:-1], ""])
@pytest.mark.django_db(transaction=True)
def test_nobody_else_reads_metrics(settings, token):
    settings.METRICS_TOKEN = SECRET

    assert Api(token).get("/metrics").status_code == 401


@pytest.mark.django_db(transaction=True)
def test_without_a_token_in_the_settings_an_empty_one_opens_nothing(settings):
    settings.METRICS_TOKEN = ""

    assert Api().get("/metrics", authorization="Bearer ").status_code == 401


@pytest.mark.django_db(transaction=True)
def test_an_administrator_reads_metrics_and_others_do_not():
    owner = signed_in("owner@example.com")
    user = sign_up("trader@example.com")
    Membership.objects.filter(user=user).update(role=Role.TRADER)
    trader = Api(tokens.open_session(user, remember_me=False, rotate=False).access)

    assert owner.get("/metrics").status_code == 200
    assert trader.get("/metrics").status_code == 403
    another = tokens.open_session(sign_up("another@example.com", is_superuser=False), remember_me=False, rotate=False)
    assert Api(another.access).get("/metrics").status_code == 403


@pytest.mark.django_db(transaction=True)
def test_a_trade_is_seen(tape):
    trader = Trader(tape)
    trader.price("0.001")
    trader.signal()
    trader.wait(60)
    trader.price("0.0005")
    trader.signal()
    ledger_watch.check()
    tape.set(clock.now() + timedelta(seconds=40))

    found = scrape()

    assert found["nexgent_orders_recent", "side=sell,state=filled"] >= 1
    assert found["nexgent_orders_recent", "side=buy,state=filled"] == 2
    assert found["nexgent_orders", "side=buy,state=filled"] == 2
    assert found["nexgent_orders_open", "side=sell,state=planned"] == 0
    assert found["nexgent_positions_open", ""] == 1
    assert found["nexgent_positions_stale", ""] == 1
    assert found["nexgent_price_age_seconds", "source=test"] == 40
    assert found["nexgent_stage_sample", "side=buy,stage=verdict"] == 2
    assert found["nexgent_stage_seconds", "quantile=0.95,side=buy,stage=whole"] == 0
    assert found["nexgent_stage_sample", "side=sell,stage=decided"] >= 1
    assert (found["nexgent_ledger_balanced", ""], found["nexgent_ledger_check_age_seconds", ""]) == (1, 40)


@pytest.mark.django_db(transaction=True)
def test_waiting_work_is_seen_with_the_age_of_the_oldest(tape):
    trader = Trader(tape)
    trader.price("0.001")
    trader.signal()
    from trading import services as trading

    trading.position_close(position_id=trader.position.id, reason="manual", principal="test", idempotency_key="k")
    trader.wait(7)
    found = scrape()

    assert found["nexgent_orders_open", "side=sell,state=planned"] == 1
    assert found["nexgent_order_oldest_seconds", "side=sell"] == 7
    assert found["nexgent_order_oldest_seconds", "side=buy"] == 0
    trader.settle()
    assert scrape()["nexgent_order_oldest_seconds", "side=sell"] == 0


def test_a_stage_is_measured_from_the_one_before_it():
    stamps = {"received": at(0), "verdict": at(0.01), "order_committed": at(0.03), "filled": at(0.1)}
    exit_stamps = {"order_committed": at(5), "quoted": at(5.2), "submitted": at(5.2), "filled": at(6)}
    rows = [
        (Side.BUY, Purpose.ENTRY, None, stamps | {"published": at(0.15)}),
        (Side.SELL, Purpose.STOP_LOSS, datetime.fromisoformat(at(4)), exit_stamps),
        (Side.SELL, Purpose.MANUAL, datetime.fromisoformat(at(1)), exit_stamps),
    ]

    found = {key: [round(value, 6) for value in values] for key, values in stages.durations(rows).items()}

    assert found["buy", "verdict"] == [0.01]
    assert found["buy", "order_committed"] == [0.02]
    assert found["buy", "filled"] == [0.07]
    assert found["buy", "published"] == [0.05]
    assert found["buy", "whole"] == [0.1]
    assert found["sell", "decided"] == [1.0]
    assert found["sell", "whole"] == [1.0, 1.0]
    assert ("buy", "quoted") not in found


@pytest.mark.parametrize(("fraction", "expected"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)])
def test_quantiles_are_values_that_occurred(fraction, expected):
    assert stages.quantile([float(n) for n in range(1, 101)], fraction) == expected
    assert stages.quantile([7.0], fraction) == 7


@pytest.mark.django_db(transaction=True)
def test_requests_are_counted_by_route_never_by_path(valkey):
    api = signed_in("owner@example.com")
    api.get("/api/v1/agents")
    api.get(f"/api/v1/agents/{'0' * 8}-0000-7000-8000-{'0' * 12}")
    api.get("/api/v1/nothing/here")
    counters.write(valkey)

    found = scrape()

    assert found["nexgent_http_requests_total", "method=GET,route=api/v1/agents,status=200"] == 1
    assert found["nexgent_http_requests_total", "method=GET,route=api/v1/agents/<str:agent_id>,status=404"] == 1
    assert found["nexgent_http_requests_total", "method=GET,route=unmatched,status=404"] == 1
    assert found["nexgent_http_seconds_count", "route=api/v1/agents"] == 1
    assert found["nexgent_http_seconds_bucket", "le=+Inf,route=api/v1/agents"] == 1
    assert 0 < found["nexgent_http_seconds_sum", "route=api/v1/agents"] < 5


@pytest.mark.django_db(transaction=True)
def test_counters_of_all_processes_are_one_and_survive_them(valkey):
    before = locks.repeats["DeadlockDetected"]
    locks.repeats["DeadlockDetected"] += 2
    counters.write(valkey)
    counters.write(valkey)  # nothing new: nothing is added twice
    valkey.hincrby(counters.KEY, '["repeats", "DeadlockDetected"]', 3)  # another process, which then ended
    try:
        found = scrape()
    finally:
        locks.repeats["DeadlockDetected"] = before

    assert found["nexgent_repeats_total", "cause=DeadlockDetected"] == 5


def test_what_valkey_does_not_take_is_counted_later(valkey):
    away = redis.Redis(port=1, socket_connect_timeout=0.2)
    counters.add(("bells", "test"), 4)

    with pytest.raises(redis.RedisError):
        counters.write(away)
    counters.write(valkey)

    assert dict(counters.read(valkey))["bells", "test"] == 4


def test_the_oldest_message_of_a_queue_has_an_age(valkey):
    bell.task("accounts.sweep", queue="default")
    assert bell.flush()
    time.sleep(0.3)
    bell.task("accounts.sweep", queue="default")
    assert bell.flush()

    depth, oldest, _ = metrics_valkey.queues(valkey)

    ages = {sample.labels["queue"]: sample.value for sample in oldest.samples}
    assert {sample.labels["queue"]: sample.value for sample in depth.samples}["default"] == 2
    assert 0.3 <= ages["default"] < 10
    assert ages["exits"] == 0


def test_sockets_streams_and_memory_are_summed_over_processes(valkey):
    for pid in (1, 2):
        text = f'{{"kind": "web", "pid": {pid}, "sockets": 3, "sse": {pid}, "memory": 1000}}'
        valkey.set(f"{presence.PREFIX}web:test:{pid}", text, ex=5)

    families = {family.name: family.samples for family in metrics_valkey.processes(valkey)}

    assert families["nexgent_sockets"][0].value == 6
    assert families["nexgent_sse_streams"][0].value == 3
    assert families["nexgent_processes"][0].value == 2
    assert families["nexgent_resident_bytes"][0].value == 2000
    assert presence.resident_bytes() > 10_000_000
    valkey.delete(*(f"{presence.PREFIX}web:test:{pid}" for pid in (1, 2)))


@pytest.mark.django_db(transaction=True)
def test_broken_books_are_an_alarm_until_they_balance(tape):
    trader = Trader(tape)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE wallets_posting DISABLE TRIGGER posting_immutable")
    try:
        broken = ledger_watch.check()
        alarm = Alarm.objects.get(code="BOOKS_BROKEN", cleared_at=None)
        found = scrape()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE wallets_posting ENABLE ALWAYS TRIGGER posting_immutable")
    trader.wait(60)
    mended = ledger_watch.check()

    assert not broken.is_balanced
    assert alarm.detail["invariants"] == sorted({problem["invariant"] for problem in broken.problems})
    assert (found["nexgent_ledger_balanced", ""], found["nexgent_alarms_open", "code=BOOKS_BROKEN"]) == (0, 1)
    assert mended.is_balanced
    assert BooksCheck.objects.get().at == clock.now()
    assert scrape()["nexgent_alarms_open", "code=BOOKS_BROKEN"] == 0


@pytest.mark.django_db(transaction=True)
def test_a_scrape_is_cheap(tape, settings):
    settings.METRICS_TOKEN = SECRET
    trader = Trader(tape)
    trader.price("0.001")
    trader.signal()
    alarms.raise_alarm("TEST", subject="nothing", at=clock.now())
    ledger_watch.check()
    api = Api(SECRET)
    api.get("/metrics")

    with CaptureQueriesContext(connection) as queries:
        assert api.get("/metrics").status_code == 200

    assert len(queries) <= QUERIES_MAX


@pytest.mark.django_db(transaction=True)
def test_a_server_that_is_away_costs_its_own_figures_only(monkeypatch):
    def gone():
        raise OperationalError("gone")

    monkeypatch.setitem(metrics.PARTS, "orders", gone)
    found = scrape()

    assert found["nexgent_scrape_ok", "part=orders"] == 0
    assert found["nexgent_scrape_ok", "part=valkey"] == 1
    assert ("nexgent_orders_open", "side=buy,state=planned") not in found
    assert ("nexgent_sockets", "") in found


@pytest.mark.django_db(transaction=True)
def test_no_label_is_an_id_or_an_address(tape):
    trader = Trader(tape)
    trader.price("0.001")
    trader.signal()

    text = metrics.text().decode()

    for secret in (trader.mint, str(trader.agent.id), str(trader.wallet.id), trader.wallet.address, trader.user.email):
        assert secret not in text
    assert len(text) > 3_000


def test_every_metric_is_explained():
    from nexgent.runtime.environment import PROJECT_DIR

    page = (PROJECT_DIR / "docs" / "operations.md").read_text()
    code = "".join(path.read_text() for path in (PROJECT_DIR / "nexgent" / "runtime").glob("metrics*.py"))
    names = set(re.findall(r'"(nexgent_[a-z_]+)"', code))

    assert len(names) > 35
    assert sorted(name for name in names if f"`{name}" not in page) == []


@pytest.mark.django_db(transaction=True)
def test_no_migration_is_missing():
    call_command("makemigrations", "runtime", check=True, dry_run=True, verbosity=0)
    assert BooksCheck.objects.count() == 0
