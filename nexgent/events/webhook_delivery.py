"""Sending deliveries: signed POSTs with a deadline, to public addresses only, following no redirect.

The host's addresses are looked up here and the call goes to the very address that was checked: a name that points into
the operator's own network, now or a moment later, reaches nothing there (`WEBHOOK_PRIVATE_ADDRESSES` allows it).
"""

import asyncio
import ipaddress
import threading
import time
from urllib.parse import urlsplit

import httpx
from django.conf import settings

from nexgent import clock
from nexgent.api import signatures
from nexgent.events import webhook_names, webhook_queue
from nexgent.events.webhook_names import Unreachable
from nexgent.events.webhook_queue import Claimed, Outcome
from nexgent.events.webhooks import PURPOSE
from nexgent.sealing import BrokenSeal, unseal

TIMEOUT_SECONDS = 10.0
AT_ONCE = 32
ANSWER_BYTES_MAX = 500
DRAINS_MAX = 2
"""Drains of one process at a time: receivers that hang may not take all its threads."""
ROUNDS_MAX = 20
"""Rounds of one drain; new events are looked for before each drain."""
_UNICAST, _NAT64 = ipaddress.IPv6Network("2000::/3"), ipaddress.IPv6Network("64:ff9b::/96")
_running = threading.BoundedSemaphore(DRAINS_MAX)


def drain() -> int:
    """Make deliveries of new events and send what is due; returns how many attempts were made."""
    if not _running.acquire(blocking=False):
        return 0
    try:
        webhook_queue.enqueue(now=clock.now())
        tried = 0
        for _ in range(ROUNDS_MAX):
            claimed = webhook_queue.claim(now=clock.now(), most=AT_ONCE)
            if not claimed:
                break
            outcomes = asyncio.run(_send_all(claimed))
            webhook_queue.record(outcomes, now=clock.now())
            tried += len(outcomes)
        return tried
    finally:
        _running.release()


async def _send_all(claimed: list[Claimed]) -> list[Outcome]:
    # Nothing of the environment: a proxy would look the name up again.
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as client:
        return list(await asyncio.gather(*(_send(client, delivery) for delivery in claimed)))


async def _send(client: httpx.AsyncClient, delivery: Claimed) -> Outcome:
    begun = time.perf_counter()
    status, error, answer = None, "", ""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            status, answer = await _post(client, delivery)
    except (TimeoutError, httpx.TimeoutException):
        error = f"no answer within {TIMEOUT_SECONDS:g} s"
    except (httpx.HTTPError, httpx.InvalidURL, Unreachable) as problem:
        error = f"{type(problem).__name__}: {problem}"
    except BrokenSeal:
        error = "the secret cannot be read: SECRET_KEY has changed; give the webhook a new secret"
    if status is not None and 300 <= status < 400:
        error = "redirects are not followed"
    elif status is not None and not 200 <= status < 300:
        error = f"status {status}"
    return Outcome(delivery, status, round((time.perf_counter() - begun) * 1000), error, answer)


async def _post(client: httpx.AsyncClient, delivery: Claimed) -> tuple[int, str]:
    parts = urlsplit(delivery.url)
    host = parts.hostname or ""
    address = await _address_of(host)
    body = delivery.body.encode()
    signature = signatures.sign(body, secret=unseal(delivery.secret, purpose=PURPOSE), at=int(time.time()))
    key = str(delivery.id) if delivery.seq is None else f"{delivery.stream_id}:{delivery.seq}"
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "Nexgent-Webhooks",
        "Nexgent-Delivery": str(delivery.id),
        "Nexgent-Event": delivery.type,
        "Idempotency-Key": key,
        signatures.HEADER: str(signature),
    }
    url = httpx.URL(delivery.url).copy_with(host=address)
    async with client.stream("POST", url, content=body, headers=headers, extensions={"sni_hostname": host}) as answer:
        said = b""
        async for part in answer.aiter_raw():  # never unpacked: a few KiB could become gigabytes
            said += part[: ANSWER_BYTES_MAX - len(said)]
            if len(said) >= ANSWER_BYTES_MAX:
                break
        return answer.status_code, said.decode(errors="replace").replace("\x00", "")


async def _address_of(host: str) -> str:
    """One address of the host that may be called; raises `Unreachable`."""
    addresses = await webhook_names.addresses_of(host)
    if not settings.WEBHOOK_PRIVATE_ADDRESSES and not all(map(_is_public, addresses)):
        raise Unreachable(f"{host} is not a public address")
    return addresses[0]


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    inner = address.ipv4_mapped or address.sixtofour
    if address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is not None:
        return _is_public(str(inner))
    return address in _UNICAST and address.is_global
