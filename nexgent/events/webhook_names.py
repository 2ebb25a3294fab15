"""The addresses of receivers, looked up so that a slow name costs nobody else.

The system's resolver blocks and knows no deadline. Each lookup therefore has a thread of its own, which nobody waits
for longer than `LOOKUP_SECONDS`; deliveries to one name share a lookup, and of those under way there are at most
`LOOKUPS_MAX`. Threads of an event loop would be few, and its end would wait for the slowest.
"""

import asyncio
import ipaddress
import socket
import threading
from concurrent.futures import Future

LOOKUP_SECONDS = 5.0
LOOKUPS_MAX = 128
_lock = threading.Lock()
_running: dict[str, "Future[list[str]]"] = {}


class Unreachable(Exception):
    """The receiver may not be called, or has no address."""


async def addresses_of(host: str) -> list[str]:
    """All addresses of a host, the resolver's best first. Raises `Unreachable`."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        lookup = _lookup(host)
    try:
        async with asyncio.timeout(LOOKUP_SECONDS):
            return await asyncio.wrap_future(lookup)
    except TimeoutError as problem:
        raise Unreachable(f"{host} was not looked up within {LOOKUP_SECONDS:g} s") from problem
    except (OSError, UnicodeError) as problem:
        raise Unreachable(f"{host} has no address") from problem


def _lookup(host: str) -> "Future[list[str]]":
    """The lookup of this name that is under way, or a new one."""
    with _lock:
        running = _running.get(host)
        if running is not None:
            return running
        if len(_running) >= LOOKUPS_MAX:
            raise Unreachable(f"{host} was not looked up: too many slow names")
        future: Future[list[str]] = Future()
        future.set_running_or_notify_cancel()  # from now on nobody who gives up ends it for the others
        _running[host] = future
    # A daemon: a process that stops does not wait for it.
    thread = threading.Thread(target=_resolve, args=(host, future), name="webhook-name", daemon=True)
    try:
        thread.start()
    except RuntimeError as problem:  # the system has no more threads to give
        _leave(host, future)
        raise Unreachable(f"{host} was not looked up: {problem}") from problem
    return future


def _resolve(host: str, future: "Future[list[str]]") -> None:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except Exception as problem:  # whoever waits raises it
        _leave(host, future)
        future.set_exception(problem)
    else:
        _leave(host, future)
        future.set_result([str(entry[4][0]) for entry in found])


def _leave(host: str, future: "Future[list[str]]") -> None:
    with _lock:
        if _running.get(host) is future:
            del _running[host]
