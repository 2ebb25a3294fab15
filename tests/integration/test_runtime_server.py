"""The web server process: close reasons, frame limit, time-outs, streams, and an orderly end."""

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from nexgent.runtime.environment import PROJECT_DIR

APPLICATION = """
import asyncio, sys
from nexgent.runtime import server
server.HTTP_TIMEOUT_SECONDS = 2
socket_ended = asyncio.Event()

async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                socket_ended.set()
                return
            if message.get("text") == "bye":
                await send({"type": "websocket.close", "code": 4001, "reason": "because you said so"})
            else:
                await send({"type": "websocket.send", "text": str(len(message.get("text") or ""))})
    is_stream = scope["path"] == "/stream"
    kind = b"text/event-stream" if is_stream else b"text/plain"
    if scope["path"] == "/hang":
        await asyncio.sleep(60)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    if is_stream:
        for number in range(50):
            await send({"type": "http.response.body", "body": b"data: %d\\n\\n" % number, "more_body": True})
            await asyncio.sleep(0.1)
    if scope["path"] == "/slow":
        await send({"type": "http.response.body", "body": b"begun, ", "more_body": True})
        await socket_ended.wait()
        await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": b"done"})

web = server.build(app, host="127.0.0.1", port=int(sys.argv[1]))
web.run()
sys.exit(web.failure or 0)
"""


class Server:
    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen([sys.executable, "-c", APPLICATION, str(self.port)], cwd=PROJECT_DIR)
        for _ in range(600):
            with socket.socket() as probe:
                probe.settimeout(0.1)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            threading.Event().wait(0.05)
        raise AssertionError("the server did not start")

    def open(self, path: str):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20)

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with self.open(path) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    def socket(self):
        return connect(f"ws://127.0.0.1:{self.port}/ws", max_size=None)


@pytest.fixture
def server():
    running = Server()
    yield running
    running.process.kill()
    running.process.wait()


def closed(connection) -> tuple[int, str]:
    """Code and reason with which the server closed."""
    with pytest.raises(ConnectionClosed) as ended:
        connection.recv(timeout=5)
    return ended.value.rcvd.code, ended.value.rcvd.reason


def test_the_reason_of_a_close_reaches_the_client(server):
    with server.socket() as connection:
        connection.send("bye")

        assert closed(connection) == (4001, "because you said so")


def test_a_frame_of_64_kib_passes_and_a_larger_one_closes(server):
    with server.socket() as connection:
        connection.send("x" * 65536)
        assert connection.recv(timeout=5) == "65536"
        connection.send("x" * 65537)

        assert closed(connection)[0] == 1009


def test_a_hanging_request_is_ended_and_a_stream_lives_on(server):
    assert server.get("/hang")[0] == 503
    status, body = server.get("/stream")

    assert status == 200
    assert body.count(b"data: ") == 50  # five seconds, more than twice the time-out


def test_told_to_stop_it_closes_sockets_by_name_and_finishes_requests(server):
    # given two sockets, and a request that goes on until one of them has ended
    with server.socket() as first, server.socket() as second, server.open("/slow") as answer:
        assert answer.read(7) == b"begun, "
        # when
        server.process.send_signal(signal.SIGTERM)
        # then
        assert [closed(first), closed(second)] == [(1000, "Server shutdown")] * 2
        assert (answer.status, answer.read()) == (200, b"done")
    assert server.process.wait(10) == 0


def test_a_client_that_does_not_answer_the_close_delays_the_end_only_shortly(server):
    with socket.create_connection(("127.0.0.1", server.port)) as mute:
        mute.sendall(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert mute.recv(4096).startswith(b"HTTP/1.1 101")

        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(5) == 0


def test_a_port_in_use_is_a_sentence(server):
    environment = {**os.environ, "PORT": str(server.port)}

    second = subprocess.run(
        [sys.executable, "manage.py", "web"],
        cwd=PROJECT_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert second.returncode == 1
    assert f"cannot listen on 127.0.0.1:{server.port}" in second.stderr
    assert "Traceback" not in second.stderr
