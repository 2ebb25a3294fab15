"""The client's network address, believed from a header only when a trusted proxy wrote it."""

from ipaddress import ip_address, ip_network
from typing import Any

from django.conf import settings


def _is_trusted(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return any(address in ip_network(network, strict=False) for network in settings.TRUSTED_PROXIES)


def client_address(request: Any) -> str:
    """The nearest address that is not one of our proxies ("local" over a unix socket)."""
    address: str = request.META.get("REMOTE_ADDR") or "local"
    if not settings.TRUSTED_PROXIES or not _is_trusted(address):
        return address
    for hop in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        hop = hop.strip()
        if not hop:
            continue
        address = hop[:45]
        if not _is_trusted(address):
            break
    return address
