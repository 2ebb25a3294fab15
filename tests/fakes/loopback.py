"""A small HTTP server on loopback whose answers a test sets, faults included: the product's real client talks to it."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Query = dict[str, list[str]]


class Fault:
    """What goes wrong with the next answers: a status, silence, a cut line, a body that is no JSON, a drip."""

    def __init__(
        self,
        *,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        silent_seconds: float = 0.0,
        cut: bool = False,
        drip_seconds: float = 0.0,
        times: int | None = None,
    ) -> None:
        self.status = status
        self.headers = headers or {}
        self.body = body
        self.silent_seconds = silent_seconds
        self.cut = cut
        self.drip_seconds = drip_seconds
        self.left = times


class LoopbackServer:
    """Start with `with server:`; `requests` lists (path, query, headers) of what was asked, `bodies` the posts."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Query, dict[str, str]]] = []
        self.fault: Fault | None = None
        self.posted = b""
        self.bodies: list[bytes] = []
        self._stopping = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                owner.serve(self)

            def do_POST(self) -> None:
                owner.posted = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                owner.bodies.append(owner.posted)
                owner.serve(self)

            def log_message(self, *arguments: Any) -> None:
                """Tests read `requests` instead."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "LoopbackServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, query: Query, headers: dict[str, str]) -> Any:
        """The JSON value of a request; (status, value) for another status. Given by each fake."""
        raise NotImplementedError

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        """One request: note it, apply the fault, else answer."""
        parts = urlsplit(request.path)
        query, headers = parse_qs(parts.query), {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((parts.path, query, headers))
        fault = self._take_fault()
        if fault is not None and fault.silent_seconds:
            self._stopping.wait(fault.silent_seconds)
        if fault is not None and fault.cut:
            request.close_connection = True
            return
        status, extra = 200, {}
        if fault is not None and (fault.status or fault.body is not None):
            status, extra = fault.status or 200, fault.headers
            body = fault.body if fault.body is not None else b'{"message":"Too many requests"}'
        else:
            value = self.answer(parts.path, query, headers)
            if isinstance(value, tuple):
                status, value = value
            body = wire_json(value)
        request.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **extra}.items():
            request.send_header(name, value)
        request.end_headers()
        self._send(request, body, fault)

    def _take_fault(self) -> Fault | None:
        fault = self.fault
        if fault is not None and fault.left is not None:
            fault.left -= 1
            if fault.left <= 0:
                self.fault = None
        return fault

    def _send(self, request: BaseHTTPRequestHandler, body: bytes, fault: Fault | None) -> None:
        pieces = [body]
        if fault is not None and fault.drip_seconds:
            pieces = [body[i : i + 1] for i in range(len(body))]
        for piece in pieces:
            try:
                request.wfile.write(piece)
                request.wfile.flush()
            except OSError:
                request.close_connection = True
                return
            if fault is not None and fault.drip_seconds and self._stopping.wait(fault.drip_seconds):
                return


class Raw:
    """A JSON number given as its text: NaN, 1e-9, more digits than a double holds."""

    def __init__(self, text: str) -> None:
        self.text = text


def wire_json(value: Any) -> bytes:
    """JSON in which `Raw` values stand as given."""
    raws: list[str] = []

    def keep(item: object) -> str:
        if not isinstance(item, Raw):
            raise TypeError(type(item))
        raws.append(item.text)
        return f"\x00raw{len(raws) - 1}\x00"

    text = json.dumps(value, default=keep)
    for number, raw in enumerate(raws):
        text = text.replace(f'"\\u0000raw{number}\\u0000"', raw)
    return text.encode()


def until(condition: Callable[[], bool], *, seconds: float = 5.0) -> bool:
    """Wait for `condition`; False when it did not come true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
