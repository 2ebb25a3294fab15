"""What a client sees at the doors while everything is killed: readiness over HTTP, ten times a second of each web."""

import threading
from collections import Counter
from collections.abc import Iterable

import httpx

from tests.crash.system import System


class Door:
    """Asks `/health/ready`: red must name a cause, and an answer 500 is never right."""

    def __init__(self, system: System) -> None:
        urls = [f"{url}/health/ready" for url in system.urls]
        self._answers: list[Counter[str]] = [Counter() for _ in urls]
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=asked, name="door", daemon=True)
            for asked in zip(urls, self._answers, strict=True)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(5)

    @property
    def answers(self) -> Counter[str]:
        """How often each was heard, of all web processes."""
        return sum(self._answers, Counter())

    @property
    def is_wrong(self) -> bool:
        return is_wrong(self.answers)

    def report(self) -> str:
        return ", ".join(f"{word} {count}" for word, count in sorted(self.answers.items()))

    def _run(self, url: str, answers: Counter[str]) -> None:
        while not self._stopping.wait(0.1):
            try:
                answers[word_of(httpx.get(url, timeout=15))] += 1
            except httpx.HTTPError:
                answers["nobody (web is being killed)"] += 1


def is_wrong(words: Iterable[str]) -> bool:
    """Whether a door answered what is never right: a 5xx other than red, or red without a cause."""
    return any(word.startswith(("5", "red without")) for word in words)


def word_of(answer: httpx.Response) -> str:
    if answer.status_code == 200:
        return "green"
    if answer.status_code != 503:
        return str(answer.status_code)
    causes = [name for name, is_true in answer.json().get("checks", {}).items() if is_true is False]
    return f"red ({' '.join(causes)})" if causes else "red without a cause"
