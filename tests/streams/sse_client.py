"""Server-sent events on a bare TCP connection: what is on the wire, heartbeats and empty events included."""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class Message:
    """One block of a stream; `place` is its id, "" without."""

    place: str
    event: str
    data: Any
    comment: str = ""


class Stream:
    """An open answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.status = 0
        self.headers: dict[str, str] = {}
        self._text = ""

    async def begin(self, path: str, headers: dict[str, str]) -> "Stream":
        lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)).decode().split("\r\n")
        self.status = int(head[0].split()[1])
        self.headers = {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in head[1:] if line}
        return self

    async def body(self) -> Any:
        """The JSON of an answer that ends."""
        return orjson.loads(await asyncio.wait_for(self._chunk(), 5))

    async def next(self, *, timeout: float = 3) -> Message:
        """The next block, whatever it is; EOFError when the stream has ended."""
        while "\n\n" not in self._text:
            self._text += (await asyncio.wait_for(self._chunk(), timeout)).decode()
        block, _, self._text = self._text.partition("\n\n")
        fields = dict(line.partition(": ")[::2] for line in block.split("\n"))
        data = fields.get("data")
        return Message(
            fields.get("id", ""), fields.get("event", ""), orjson.loads(data) if data else None, fields.get("", "")
        )

    async def event(self, *, timeout: float = 3) -> Message:
        """The next block that has an event or moves the place."""
        while True:
            message = await self.next(timeout=timeout)
            if message.event or message.place:
                return message

    async def _chunk(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return await self.reader.readexactly(int(self.headers["content-length"]))
        size = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
        chunk = await self.reader.readexactly(size + 2)
        if size == 0:
            raise EOFError
        return chunk[:-2]

    def cut(self) -> None:
        """End the connection as a lost network does: at once."""
        self.writer.transport.abort()

    async def __aenter__(self) -> "Stream":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()


async def listen(port: int, path: str, *, token: str = "", place: str = "", **headers: str) -> Stream:
    """Open a stream; `place` goes out as `Last-Event-ID`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    own = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        own["Authorization"] = f"Bearer {token}"
    if place:
        own["Last-Event-ID"] = place
    return await Stream(reader, writer).begin(path, own)
