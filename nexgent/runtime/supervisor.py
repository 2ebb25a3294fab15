"""What `manage.py up` does once the database is prepared: keeps every process of the product, and the embedded servers,
running until it is told to stop.

A process that ends is reported and started again, later each time. Told to stop, all end within `STOP_SECONDS` and a
second for the servers. Killed outright, the kernel ends the children (`die_with_parent`); nothing of ours has children
of its own.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping

import redis

from nexgent.runtime import presence, processes
from nexgent.runtime.embedded import EmbeddedServers, die_with_parent

BACK_OFF_FIRST_SECONDS = 0.5
BACK_OFF_MAX_SECONDS = 10.0
STEADY_SECONDS = 30.0
STOP_SECONDS = 2.8
WATCH_SECONDS = 0.25
LINE_BYTES_MAX = 1 << 20


def reason(code: int) -> str:
    """How a process ended, in words."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


class Supervisor:
    """The processes of one installation."""

    def __init__(
        self,
        *,
        servers: Mapping[str, EmbeddedServers],
        address: tuple[str, int],
        redis_url: str,
        say: Callable[[str], None],
        is_labelled: bool = True,
    ) -> None:
        self.servers = servers
        self.address = address
        self.redis_url = redis_url
        self.say = say
        self.is_labelled = is_labelled
        # Bytecode is written even where the machine's default says no: the next start is faster by it.
        self.environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.running: dict[str, asyncio.subprocess.Process] = {}
        self.stopping = asyncio.Event()

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Start everything, call `on_ready` once it answers, return when everything has stopped."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.stopping.set)
        kept = [asyncio.create_task(self._keep(name)) for name in processes.COMMANDS]
        watched = [asyncio.create_task(self._keep_server(name)) for name in self.servers]
        ready = asyncio.create_task(self._announce(on_ready))
        await self.stopping.wait()
        ready.cancel()
        await self._stop_all()
        await asyncio.gather(*kept, *watched, ready, return_exceptions=True)

    async def _keep(self, name: str) -> None:
        """Run one process again and again."""
        pause = BACK_OFF_FIRST_SECONDS
        while not self.stopping.is_set():
            begun = time.monotonic()
            process = await self._start(name)
            code = await self._follow(name, process)
            if self.stopping.is_set():
                return
            if time.monotonic() - begun > STEADY_SECONDS:
                pause = BACK_OFF_FIRST_SECONDS
            self.say(f"{name} {reason(code)}; it starts again in {pause:g} s")
            await self._sleep(pause)
            pause = min(pause * 2, BACK_OFF_MAX_SECONDS)

    async def _start(self, name: str) -> asyncio.subprocess.Process:
        # Celery's banner goes to standard output, everything that matters to standard error.
        is_celery = processes.COMMANDS[name].startswith("celery")
        process = await asyncio.create_subprocess_exec(
            *processes.argv(name),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL if is_celery else asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C of the terminal reaches the supervisor alone
            preexec_fn=die_with_parent(signal.SIGKILL),
            limit=LINE_BYTES_MAX,
            env=self.environment,
        )
        self.running[name] = process
        if self.stopping.is_set():  # told to stop while it started
            process.terminate()
        return process

    async def _follow(self, name: str, process: asyncio.subprocess.Process) -> int:
        """Pass the process's lines on until it ends; its exit code."""
        streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
        copies = [asyncio.create_task(self._copy(name, stream)) for stream in streams]
        code = await process.wait()
        await asyncio.wait(copies, timeout=1)
        for copy in copies:
            copy.cancel()
        del self.running[name]
        return code

    async def _copy(self, name: str, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # longer than LINE_BYTES_MAX: dropped
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            self.say(f"{name:<8}| {text}" if self.is_labelled else text)

    async def _keep_server(self, name: str) -> None:
        """Watch one embedded server and start it again when it died."""
        servers = self.servers[name]
        pause = BACK_OFF_FIRST_SECONDS
        while not self.stopping.is_set():
            code = servers.processes[name].poll()
            if code is None:
                await self._sleep(WATCH_SECONDS)
                continue
            self.say(f"{name} {reason(code)}; it starts again")
            try:
                getattr(servers, f"spawn_{name}")()
                await asyncio.to_thread(getattr(servers, f"wait_for_{name}"))
                pause = BACK_OFF_FIRST_SECONDS
            except SystemExit as problem:
                self.say(f"{problem}\nnext attempt in {pause:g} s")
                await self._sleep(pause)
                pause = min(pause * 2, BACK_OFF_MAX_SECONDS)

    async def _announce(self, on_ready: Callable[[], None]) -> None:
        while not (await self._is_web_ready() and await asyncio.to_thread(self._is_everybody_there)):
            await asyncio.sleep(0.05)
        on_ready()

    async def _is_web_ready(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(*self.address)
        except OSError:
            return False
        try:
            writer.write(b"GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n")
            status = await asyncio.wait_for(reader.readline(), 10)
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
        return b" 200 " in status

    def _is_everybody_there(self) -> bool:
        """Whether every process has told through Valkey that it runs."""
        valkey = presence.client(self.redis_url)
        try:
            told = {process["pid"] for found in presence.alive(valkey).values() for process in found}
        except redis.RedisError:
            return False
        finally:
            valkey.close()
        return {process.pid for process in self.running.values()} <= told

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but no longer than until the stop."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _stop_all(self) -> None:
        """SIGTERM to all at once; what still runs after `STOP_SECONDS` is killed."""
        for process in list(self.running.values()):
            _send(process, signal.SIGTERM)
        end = time.monotonic() + STOP_SECONDS
        while self.running and time.monotonic() < end:
            await asyncio.sleep(0.02)
        for name, process in list(self.running.items()):
            self.say(f"{name} did not stop in time and is killed")
            _send(process, signal.SIGKILL)
        while self.running:
            await asyncio.sleep(0.02)


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except ProcessLookupError:
        return


def stdout_say(text: str) -> None:
    """Write a line; a reader that went away stops nothing."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
