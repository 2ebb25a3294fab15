"""Pyth Hermes on loopback: latest price and event stream, with or without a key."""

import time
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.loopback import LoopbackServer, Query, wire_json

SOL_USD_ID = "ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d"


class FakePyth(LoopbackServer):
    """`price`, `conf`, `expo`, `age_seconds` make the next update; `record` replaces it whole."""

    def __init__(self, *, key: str | None = None) -> None:
        super().__init__()
        self.key = key
        self.price, self.conf, self.expo = "15000000000", "7500000", -8
        self.age_seconds = 0
        self.record_id = SOL_USD_ID
        self.events_per_stream = 1_000_000
        self.streams = 0
        self.is_silent = False
        self.has_stream = True

    def answer(self, path: str, query: Query, headers: dict[str, str]) -> Any:
        if self.key is not None and headers.get("authorization") != f"Bearer {self.key}":
            return 401, {"message": "unauthorized"}
        return self.update() if path == "/v2/updates/price/latest" else (404, {"message": "Not Found"})

    def update(self) -> dict[str, Any]:
        """One update message."""
        at = int(time.time()) - self.age_seconds
        quote = {"price": self.price, "conf": self.conf, "expo": self.expo, "publish_time": at}
        parsed = {"id": self.record_id, "price": quote, "ema_price": quote, "metadata": {"slot": 1}}
        return {"binary": {"encoding": "hex", "data": ["504e4155"]}, "parsed": [parsed]}

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        if urlsplit(request.path).path != "/v2/updates/price/stream" or not self.has_stream:
            super().serve(request)
            return
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            super().serve(request)
            return
        self.streams += 1
        request.close_connection = True
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.end_headers()
        for _ in range(self.events_per_stream):
            body = b":keepalive\n\n" if self.is_silent else b"data:" + wire_json(self.update()) + b"\n\n"
            try:
                request.wfile.write(body)
                request.wfile.flush()
            except OSError:
                return
            if self._stopping.wait(0.05):
                return
