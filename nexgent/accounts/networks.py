"""Networks that a credential may be used from: read once when it is made, compared at each use."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from nexgent.errors import Refusal

ADDRESSES_MAX = 50


def read(addresses: Sequence[str]) -> list[str]:
    """Addresses and networks as CIDR; raises `ValueError` with a sentence for what is none, or too many."""
    if len(addresses) > ADDRESSES_MAX:
        raise ValueError(f"must be at most {ADDRESSES_MAX}")
    try:
        return [str(ip_network(text.strip(), strict=False)) for text in addresses]
    except ValueError as problem:
        raise ValueError("must be addresses or networks, such as 203.0.113.7 or 10.0.0.0/8") from problem


def admit(address: str, networks: Sequence[str], *, what: str) -> None:
    """Raises `Refusal` ADDRESS_REFUSED when `address` is in none of `networks`; none at all: from anywhere."""
    if networks and not _is_within(address, networks):
        raise Refusal("ADDRESS_REFUSED", f"This {what} may not be used from {address}.")


def _is_within(address: str, networks: Sequence[str]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in ip_network(network) for network in networks)
