"""Abuse of the web server itself: slow, endless and broken requests, on a real process."""

import socket
import time

import pytest

from tests.servers import own_valkey, web_server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def port(django_db_setup, django_db_blocker):
    with own_valkey() as valkey, web_server(valkey.redis_url, REQUEST_SECONDS=1.5, BODY_BYTES_MAX=300_000) as web:
        yield web.port


def talk(port, *parts, pause=0.0, seconds=6.0):
    """Send the parts with a pause before each but the first; returns (status, whole answer, seconds it took)."""
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as line:
        received = b""
        try:
            for number, part in enumerate(parts):
                if number:
                    time.sleep(pause)
                line.sendall(part)
            while chunk := line.recv(65_536):
                received += chunk
        except (BrokenPipeError, ConnectionResetError):
            line.settimeout(0.2)
            try:
                received += line.recv(65_536)
            except OSError:
                received += b""
    status = int(received[9:12]) if received[:5] == b"HTTP/" else 0
    return status, received, time.monotonic() - begun


def head(path="/api/v1/auth/login", method="POST", *more):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_a_body_of_one_byte_a_second_is_cut(port):
    status, answer, took = talk(
        port, head("/api/v1/auth/login", "POST", "Content-Length: 100"), *([b"x"] * 20), pause=0.2
    )

    assert status == 408
    assert b'"code":"REQUEST_TIMEOUT"' in answer
    assert 1.2 < took < 5


def test_headers_of_one_line_a_second_are_cut(port):
    lines = [b"GET / HTTP/1.1\r\n", *[b"X-A: 1\r\n"] * 20]

    status, _, took = talk(port, *lines, pause=0.2)

    assert status == 408
    assert took < 5


def test_a_first_line_that_never_ends_is_cut(port):
    status, _, took = talk(port, *[b"G"] * 20, pause=0.2)

    assert status == 408
    assert took < 5


def test_a_body_too_large_is_refused_before_it_is_read(port):
    status, answer, took = talk(port, head("/api/v1/auth/login", "POST", "Content-Length: 90000000"), b"x" * 1000)

    assert status == 413
    assert b'"code":"PAYLOAD_TOO_LARGE"' in answer
    assert took < 1


def test_a_body_without_a_length_is_cut_at_the_limit(port):
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"

    status, _, _ = talk(port, head("/api/v1/auth/login", "POST", "Transfer-Encoding: chunked"), *[chunk] * 10)

    assert status == 413


@pytest.mark.parametrize(
    "request_text",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header: 1\r\n\r\n", id="space in a name"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n", id="NUL in a value"),
        pytest.param(b"NONSENSE\r\n\r\n", id="no request line"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
            id="two lengths",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            id="length and chunks",
        ),
        pytest.param(b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", id="path no ASCII"),
    ],
)
def test_broken_requests_are_400(port, request_text):
    status, _, _ = talk(port, request_text.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))

    assert status == 400


def test_a_whole_request_is_answered_and_the_next_on_its_line_too(port):
    one = b"GET /api/v1/health/live HTTP/1.1\r\nHost: localhost\r\n"

    status, answer, _ = talk(port, one + b"\r\n", one + b"Connection: close\r\n\r\n", pause=1.8)

    assert status == 200
    assert answer.count(b'"alive":') == 2
