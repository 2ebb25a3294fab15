"""Asking an outside service: budget, deadline, retry, circuit breaker, and JSON whose numbers are `Decimal`.

Every call ends by its deadline, whatever the other side does: a body that drips is cut. Retries (429 with Retry-After,
5xx, broken connections) happen inside the same deadline, with jitter. Three failures in a row open the circuit for a
while that doubles up to a minute; one trial closes it again.
"""

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from nexgent import clock
from prices.budget import Budget
from prices.feeds.protocol import FeedFailure
from prices.records import Lane

log = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it writes every address down, keys in it included

DEADLINE_SECONDS = 3.0
CONNECT_SECONDS = 1.5
RETRIES_MAX = 2
BACKOFF_SECONDS = 0.15
BODY_BYTES_MAX = 8_000_000
FAILURES_TO_OPEN = 3
OPEN_SECONDS, OPEN_SECONDS_MAX = 5.0, 60.0
RETRIED = frozenset({"rate_limited", "http_error", "unreachable"})


@dataclass(frozen=True, slots=True)
class Health:
    """How a provider did lately; times are wall clock, for people."""

    calls: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    last_failure: str = ""
    latency_ms: int | None = None
    is_open: bool = False
    budget_left: int | None = None


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    params: Mapping[str, str] | None = None
    body: Any = None


class Provider:
    """One outside service, safe to ask from several threads."""

    def __init__(
        self,
        name: str,
        *,
        url: str,
        budget: Budget,
        headers: Mapping[str, str] | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self.name = name
        self.url = url.rstrip("/")
        self.budget = budget
        self.deadline_seconds = deadline_seconds
        self.health = Health()
        self.client = httpx.Client(headers=dict(headers or {}), timeout=deadline_seconds, follow_redirects=False)
        self._lock = threading.Lock()
        self._closed_until = 0.0
        self._open_seconds = OPEN_SECONDS
        self._is_trial_running = False

    def get(self, path: str, *, lane: Lane, params: Mapping[str, str] | None = None, cost: int = 1) -> Any:
        """The JSON of `path`; cost 0 when the caller has spent for it. Raises FeedFailure, by the deadline."""
        return self._ask(_Request("GET", path, params), lane=lane, cost=cost)

    def post(self, body: Any, *, lane: Lane) -> Any:
        """The JSON answered to a JSON body sent to the provider's address (JSON-RPC). Raises FeedFailure."""
        return self._ask(_Request("POST", "", None, body), lane=lane, cost=1)

    def _ask(self, request: _Request, *, lane: Lane, cost: int) -> Any:
        self._enter()
        started = time.monotonic()
        end = started + self.deadline_seconds
        try:
            answer = self._with_retries(request, lane=lane, cost=cost, end=end)
        except FeedFailure as failure:
            self._failed(failure)
            raise
        self._worked(time.monotonic() - started)
        return answer

    def spend(self, lane: Lane, *, cost: int = 1) -> None:
        """Take calls out of the budget. Raises FeedFailure "budget" with the seconds to wait."""
        grant = self.budget.take(lane, cost=cost)
        self.health = replace(self.health, budget_left=grant.left)
        if not grant.is_granted:
            raise FeedFailure("budget", f"{self.name} in {grant.wait_seconds:.1f} s", retry_after=grant.wait_seconds)

    def close(self) -> None:
        self.client.close()

    def _with_retries(self, request: _Request, *, lane: Lane, cost: int, end: float) -> Any:
        if cost:
            self.spend(lane, cost=cost)
        attempt = 0
        while True:
            try:
                return self._once(request, end=end)
            except FeedFailure as failure:
                pause = BACKOFF_SECONDS * 2**attempt * (0.5 + random.random())  # noqa: S311  (jitter)
                pause = max(pause, failure.retry_after or 0.0)
                attempt += 1
                if failure.code not in RETRIED or attempt > RETRIES_MAX or time.monotonic() + pause >= end:
                    raise
                if not self.budget.take(lane, cost=max(cost, 1)).is_granted:
                    raise
                time.sleep(pause)

    def _once(self, request: _Request, *, end: float) -> Any:
        left = end - time.monotonic()
        if left <= 0:
            raise FeedFailure("timeout", f"{self.name} after {self.deadline_seconds} s")
        timeout = httpx.Timeout(left, connect=min(left, CONNECT_SECONDS))
        try:
            with self.client.stream(
                request.method, self.url + request.path, params=request.params, json=request.body, timeout=timeout
            ) as response:
                body = self._body(response, end)
                status, headers = response.status_code, response.headers
        except httpx.TimeoutException as problem:
            raise FeedFailure("timeout", f"{self.name}: {type(problem).__name__}") from problem
        except httpx.HTTPError as problem:
            raise FeedFailure("unreachable", f"{self.name}: {type(problem).__name__}") from problem
        if status == 429:
            raise FeedFailure("rate_limited", self.name, retry_after=retry_after(headers, now=clock.now()))
        if status >= 500:
            raise FeedFailure("http_error", f"{self.name} answered {status}")
        if status != 200:
            raise FeedFailure("refused", f"{self.name} answered {status}")
        return parse_json(body, self.name)

    def _body(self, response: httpx.Response, end: float) -> bytes:
        parts, size = [], 0
        for part in response.iter_bytes():
            size += len(part)
            if size > BODY_BYTES_MAX:
                raise FeedFailure("malformed", f"{self.name} sent more than {BODY_BYTES_MAX} bytes")
            if time.monotonic() > end:
                raise FeedFailure("timeout", f"{self.name}: the body did not end in time")
            parts.append(part)
        return b"".join(parts)

    def _enter(self) -> None:
        with self._lock:
            if not self.health.is_open:
                return
            if time.monotonic() < self._closed_until or self._is_trial_running:
                raise FeedFailure("circuit_open", self.name)
            self._is_trial_running = True

    def _worked(self, seconds: float) -> None:
        with self._lock:
            if self.health.is_open:
                log.warning("%s answers again", self.name)
            self._open_seconds, self._is_trial_running = OPEN_SECONDS, False
            self.health = replace(
                self.health,
                calls=self.health.calls + 1,
                failures_in_a_row=0,
                last_success_at=clock.now(),
                latency_ms=round(seconds * 1000),
                is_open=False,
            )

    def _failed(self, failure: FeedFailure) -> None:
        with self._lock:
            was_trial, self._is_trial_running = self._is_trial_running, False
            if failure.code == "budget":
                return  # our own doing, says nothing about the provider
            row = self.health.failures_in_a_row + 1
            opens = was_trial or row >= FAILURES_TO_OPEN or failure.code == "rate_limited"
            if opens:
                pause = max(self._open_seconds, failure.retry_after or 0.0)
                self._closed_until = time.monotonic() + min(pause, OPEN_SECONDS_MAX)
                self._open_seconds = min(self._open_seconds * 2, OPEN_SECONDS_MAX)
                log.warning("%s is left alone for %.0f s: %s", self.name, min(pause, OPEN_SECONDS_MAX), failure)
            self.health = replace(
                self.health,
                calls=self.health.calls + 1,
                failures=self.health.failures + 1,
                failures_in_a_row=row,
                last_failure_at=clock.now(),
                last_failure=str(failure),
                is_open=opens,
            )


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds that a 429 asks us to wait: `Retry-After` in seconds or as a date, else `x-ratelimit-reset`."""
    value = headers.get("retry-after", "")
    if value.isdigit():
        return float(value)
    if value:
        try:
            return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
        except ValueError:
            return None
    reset = headers.get("x-ratelimit-reset", "")
    return max(0.0, int(reset) - now.timestamp()) if reset.isdigit() else None


def parse_json(body: bytes, name: str) -> Any:
    """JSON with exact numbers; NaN and Infinity come out as such and are refused per value. Raises FeedFailure."""
    constant: Callable[[str], Decimal] = Decimal
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=constant)
    except (ValueError, RecursionError) as problem:
        raise FeedFailure("malformed", f"{name}: {problem}") from problem
