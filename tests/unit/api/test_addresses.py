"""The client's address: believed from a header only when a trusted proxy wrote it."""

from types import SimpleNamespace

import pytest

from nexgent.api.addresses import client_address, counted_address


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "address"),
    [
        ([], "1.2.3.4", "9.9.9.9", "1.2.3.4"),
        (["10.0.0.0/8"], "1.2.3.4", "9.9.9.9", "1.2.3.4"),
        (["10.0.0.0/8"], "10.0.0.1", "9.9.9.9", "9.9.9.9"),
        (["10.0.0.0/8"], "10.0.0.1", "6.6.6.6, 9.9.9.9", "9.9.9.9"),
        (["10.0.0.0/8"], "10.0.0.1", "9.9.9.9, 10.0.0.2", "9.9.9.9"),
        (["10.0.0.0/8"], "10.0.0.1", "", "10.0.0.1"),
        (["10.0.0.0/8"], "", "9.9.9.9", "local"),
        (["10.0.0.0/8"], "::ffff:10.0.0.1", "9.9.9.9", "9.9.9.9"),
        ([], "::ffff:1.2.3.4", "", "1.2.3.4"),
    ],
)
def test_only_trusted_proxies_are_believed(settings, proxies, peer, forwarded, address):
    settings.TRUSTED_PROXIES = proxies
    request = SimpleNamespace(META={"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded})

    assert client_address(request) == address


@pytest.mark.parametrize(
    ("address", "counted"),
    [("1.2.3.4", "1.2.3.4"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("local", "local")],
)
def test_an_ipv6_network_counts_as_one_sender(address, counted):
    assert counted_address(address) == counted
