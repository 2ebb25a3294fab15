"""What every socket and stream test stands on: a web process with a Valkey of its own, and a person with an agent.

A module that wants other limits or another environment of its web process overrides `limits` or `environment`.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from nexgent.events import bell
from nexgent.runtime.embedded import EmbeddedServers
from tests.servers import WebServer, own_valkey, web_server
from tests.streams.sockets import Someone, someone


@pytest.fixture(scope="module")
def valkey() -> Iterator[EmbeddedServers]:
    with own_valkey() as servers:
        yield servers


@pytest.fixture(scope="module")
def limits() -> dict[str, float]:
    return {}


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def server(
    django_db_setup: None, valkey: EmbeddedServers, limits: dict[str, float], environment: dict[str, str]
) -> Iterator[WebServer]:
    with web_server(valkey.redis_url, more=environment, **limits) as started:
        yield started


@pytest.fixture(autouse=True)
def _same_valkey(valkey: EmbeddedServers, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bells of the test's own process go where the web process listens."""
    settings.REDIS_URL = valkey.redis_url
    monkeypatch.setattr(bell, "_sender", bell._Sender())


@pytest.fixture
def who() -> Someone:
    return someone()
