"""What a client sees at the door while everything is killed: readiness over HTTP, ten times a second."""

import threading
from collections import Counter

import httpx

from tests.crash.system import System


class Door:
    """Asks `/health/ready`: red must name a cause, and an answer 500 is never right."""

    def __init__(self, system: System) -> None:
        self._url = f"{system.url}/health/ready"
        self.answers: Counter[str] = Counter()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5)

    @property
    def is_wrong(self) -> bool:
        return any(word.startswith(("5", "red without")) for word in self.answers)

    def report(self) -> str:
        return ", ".join(f"{word} {count}" for word, count in sorted(self.answers.items()))

    def _run(self) -> None:
        while not self._stopping.wait(0.1):
            try:
                self.answers[_word(httpx.get(self._url, timeout=15))] += 1
            except httpx.HTTPError:
                self.answers["nobody (web is being killed)"] += 1


def _word(answer: httpx.Response) -> str:
    if answer.status_code == 200:
        return "green"
    if answer.status_code != 503:
        return str(answer.status_code)
    causes = [name for name, is_true in answer.json().get("checks", {}).items() if is_true is False]
    return f"red ({' '.join(causes)})" if causes else "red without a cause"
