"""The Valkey subscription of a hub: it reconnects for ever, with a pause that grows to two seconds.

The socket time-out is switched off on purpose: the client's default would end a quiet subscription after five seconds.
Silence is told apart from a dead peer by a ping.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from nexgent.events.channels import CONTROL, EVENTS, PRICES

logger = logging.getLogger(__name__)

_SILENCE_SECONDS = 5.0
_PAUSE_SECONDS_MAX = 2.0


class Subscription:
    """Calls back for every message; `on_connected` after each (re)connection, since messages were lost meanwhile."""

    def __init__(
        self,
        *,
        on_events: Callable[[Iterable[tuple[UUID, int]]], None],
        on_prices: Callable[[int, list[Any]], None],
        on_control: Callable[[dict[str, str]], None],
        on_connected: Callable[[], None],
    ) -> None:
        self.is_connected = False
        self._on_connected = on_connected
        self._on_message: dict[str, Callable[[Any], None]] = {
            EVENTS: lambda body: on_events([(UUID(stream_id), seq) for stream_id, seq in body]),
            PRICES: lambda body: on_prices(body["t"], body["prices"]),
            CONTROL: on_control,
        }

    async def run(self) -> None:
        """Listen until cancelled."""
        pause = 0.1
        is_down = False
        while True:
            try:
                async with (
                    Redis.from_url(
                        settings.REDIS_URL,
                        socket_timeout=None,
                        socket_connect_timeout=2,
                        retry=Retry(NoBackoff(), 0),
                    ) as valkey,
                    valkey.pubsub() as pubsub,
                ):
                    await pubsub.subscribe(*self._on_message)
                    self.is_connected, pause = True, 0.1
                    if is_down:
                        logger.warning("live connections hear Valkey again")
                    is_down = False
                    self._on_connected()
                    await self._listen(pubsub)
            except (RedisError, OSError) as error:
                if not is_down:
                    logger.warning("live connections do not hear Valkey: %s", error)
                is_down = True
            self.is_connected = False
            await asyncio.sleep(pause)
            pause = min(_PAUSE_SECONDS_MAX, pause * 2)

    async def _listen(self, pubsub: PubSub) -> None:
        is_asked = False
        while True:
            message = await pubsub.get_message(timeout=_SILENCE_SECONDS)
            if message is None:
                if is_asked:
                    raise ConnectionError("Valkey does not answer a ping")
                await pubsub.ping()
                is_asked = True
                continue
            is_asked = False
            if message["type"] == "message":
                self._hear(message["channel"].decode(), message["data"])

    def _hear(self, channel: str, data: bytes) -> None:
        try:
            self._on_message[channel](orjson.loads(data))
        except (KeyError, TypeError, ValueError):
            logger.exception("a message on %s was not understood", channel)
