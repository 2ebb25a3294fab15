"""The client's network address, believed from a header only when a trusted proxy wrote it."""

from ipaddress import IPv6Address, ip_address, ip_network
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
    address = _unmapped(request.META.get("REMOTE_ADDR") or "local")
    if not settings.TRUSTED_PROXIES or not is_trusted(address):
        return address
    for hop in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        hop = hop.strip()
        if not hop:
            continue
        address = _unmapped(hop[:45])
        if not is_trusted(address):
            break
    return address


def counted_address(address: str) -> str:
    """What counts as one sender where attempts are counted: of IPv6 the /64, which is what one customer is given."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((int(parsed) >> 64 << 64, 64))) if isinstance(parsed, IPv6Address) else address


def _unmapped(text: str) -> str:
    """An IPv4 address as such, too where a socket for both kinds tells it as IPv6 (`::ffff:192.0.2.1`)."""
    if not text.lower().startswith("::ffff:"):
        return text
    try:
        mapped = IPv6Address(text).ipv4_mapped
    except ValueError:
        return text
    return text if mapped is None else str(mapped)
