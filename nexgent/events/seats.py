"""How many connections a principal has open, counted in Valkey for all web processes.

A seat is a member of a sorted set whose score says until when it counts; the hub renews the seats of its connections,
so that those of a killed process are free again after a minute. Without Valkey each process counts its own.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from uuid import UUID

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from nexgent.events import limits
from nexgent.events.threads import in_thread

logger = logging.getLogger(__name__)

_PREFIX = "nexgent:seats:"
_TIMEOUT_SECONDS = 0.3
_TAKE = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""
_KEEP = """
local until_ = tonumber(redis.call('TIME')[1]) + tonumber(ARGV[1])
for place = 2, #ARGV do redis.call('ZADD', KEYS[1], until_, ARGV[place]) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
"""

_clients: dict[str, redis.Redis] = {}


def take(principal: str, seat: UUID) -> bool | None:
    """Take a seat; False when all are taken, None when nobody can say (Valkey is away)."""
    most = limits.CONNECTIONS_PER_PRINCIPAL
    try:
        return bool(_client().eval(_TAKE, 1, _PREFIX + principal, str(seat), int(limits.SEAT_SECONDS), int(most)))
    except redis.RedisError as problem:
        logger.warning("seats are counted per process: %s", problem)
        return None


def keep(seats: Iterable[tuple[str, UUID]]) -> None:
    """Renew seats that are in use. Raises redis.RedisError."""
    of: dict[str, list[str]] = {}
    for principal, seat in seats:
        of.setdefault(principal, []).append(str(seat))
    with _client().pipeline(transaction=False) as pipe:
        for principal, ids in of.items():
            pipe.eval(_KEEP, 1, _PREFIX + principal, int(limits.SEAT_SECONDS), *ids)
        pipe.execute()


def free(seats: Iterable[tuple[str, UUID]]) -> None:
    """Give seats back. Raises redis.RedisError."""
    with _client().pipeline(transaction=False) as pipe:
        for principal, seat in seats:
            pipe.zrem(_PREFIX + principal, str(seat))
        pipe.execute()


def _client() -> redis.Redis:
    """One client for all threads of the process."""
    url = settings.REDIS_URL
    if url not in _clients:
        _clients[url] = redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
    return _clients[url]


class Seats:
    """The seats of this process. All methods belong to the event loop's thread."""

    def __init__(self) -> None:
        self._held: dict[UUID, str] = {}
        self._left: list[tuple[str, UUID]] = []
        self._any_left = asyncio.Event()
        self._sign_at = 0.0

    async def take(self, principal: str, seat: UUID) -> bool:
        """Take a seat for a connection; False when the principal has too many."""
        asking = asyncio.ensure_future(in_thread(take, principal, seat))
        try:
            taken = await asyncio.shield(asking)
        except asyncio.CancelledError:  # the client went meanwhile, the thread goes on
            asking.add_done_callback(lambda done: self._give_back_late(principal, seat, done))
            raise
        if taken is None:
            taken = sum(each == principal for each in self._held.values()) < limits.CONNECTIONS_PER_PRINCIPAL
        if taken:
            self._held[seat] = principal
        return taken

    def leave(self, seat: UUID) -> None:
        """Give back a seat, if the connection had one."""
        principal = self._held.pop(seat, None)
        if principal is not None:
            self._left.append((principal, seat))
            self._any_left.set()

    def _give_back_late(self, principal: str, seat: UUID, done: "asyncio.Future[bool | None]") -> None:
        if not done.cancelled() and done.exception() is None and done.result():
            self._left.append((principal, seat))
            self._any_left.set()

    async def give_back(self) -> None:
        """Tell Valkey which seats are free, all that were left meanwhile at once."""
        await self._any_left.wait()
        self._any_left.clear()
        left, self._left = self._left, []
        try:
            await in_thread(free, left)
        except redis.RedisError:
            logger.info("%d seats are left to run out", len(left))

    async def renew(self) -> None:
        """Renew all seats now and then; called each second."""
        now = time.monotonic()
        if now < self._sign_at or not self._held:
            return
        self._sign_at = now + limits.SEAT_SIGN_SECONDS
        try:
            await in_thread(keep, [(principal, seat) for seat, principal in self._held.items()])
        except redis.RedisError:
            self._sign_at = now + 1.0

    def __len__(self) -> int:
        return len(self._held)
