"""The client's network address, believed from a header only when a trusted proxy wrote it."""

from ipaddress import ip_address, ip_network
from typing import Any

from django.conf import settings


def is_trusted(text: str) -> bool:
    """Whether this is the address of one of our proxies."""
    if not settings.TRUSTED_PROXIES:
        return False
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return any(address in ip_network(network, strict=False) for network in settings.TRUSTED_PROXIES)


def client_address(request: Any) -> str:
    """The nearest address that is not one of our proxies ("local" over a unix socket)."""
    address: str = request.META.get("REMOTE_ADDR") or "local"
    if not settings.TRUSTED_PROXIES or not is_trusted(address):
        return address
    for hop in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        hop = hop.strip()
        if not hop:
            continue
        address = hop[:45]
        if not is_trusted(address):
            break
    return address
