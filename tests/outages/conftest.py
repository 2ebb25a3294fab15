"""What every outage test stands on: servers of its own that it may stop, and where they are."""

from collections.abc import Iterator

import pytest

from nexgent.runtime.embedded import EmbeddedServers
from tests.servers import own_servers


@pytest.fixture
def servers() -> Iterator[EmbeddedServers]:
    with own_servers() as started:
        yield started


@pytest.fixture
def addresses(servers: EmbeddedServers) -> dict[str, str]:
    """Where a process of the product finds these servers."""
    return {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
