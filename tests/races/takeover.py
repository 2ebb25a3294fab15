"""The active prices process is killed in the middle of a round: the other must watch within five seconds."""

import time
from typing import Any

from django.db import connection

from tests.crash.system import System
from tests.crash.world import query
from tests.races.findings import Findings
from trading.engine import recovery
from trading.models import EngineState

TAKEOVER_SECONDS = 5.0
PATIENCE_SECONDS = 30


class TakeOver:
    """Kills at a moment of its own, and takes the time until another engine watches."""

    mints: tuple[str, ...] = ()

    def __init__(self, system: System, findings: Findings, *, after_seconds: float) -> None:
        self.system, self.findings = system, findings
        self.after_seconds = after_seconds
        self.seconds: float | None = None

    def prepare(self) -> None:
        """Nothing: the fleet is up."""

    def run(self) -> None:
        time.sleep(self.after_seconds)
        try:
            self._kill()
        finally:
            connection.close()

    def _kill(self) -> None:
        before, active = query(_owner), self.system.active
        if active is None:
            self.findings.add("unanswered", "no process has the engine role")
            return
        begun = time.monotonic()
        self.system.kill(active[0])
        while time.monotonic() - begun < PATIENCE_SECONDS:
            if query(_owner) != before and query(recovery.is_recovered):
                self.seconds = time.monotonic() - begun
                return
            time.sleep(0.02)

    def check(self) -> None:
        if self.seconds is None or self.seconds > TAKEOVER_SECONDS:
            self.findings.add("unanswered", f"nobody took the engine role over in time ({self.seconds} s)")


def _owner() -> Any:
    return EngineState.objects.values_list("owner", flat=True).first()
