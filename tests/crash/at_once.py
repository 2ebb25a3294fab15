"""Proofs that are programs, run beside each other: half of each is waiting."""

import os
import subprocess
import sys
from collections.abc import Sequence

from tests.crash.system import ROOT


def run(module: str, *runs: Sequence[str], seconds: float) -> list[tuple[int, str]]:
    """Exit code and words of `python -m module --quick …` for each of `runs`, begun at once on servers of their own.

    Raises subprocess.TimeoutExpired when one is not done in time; none is left running.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_URL", "REDIS_URL"))}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", module, "--quick", *words],
            cwd=ROOT,
            env=clean,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for words in runs
    ]
    try:
        said = [one.communicate(timeout=seconds)[0] for one in started]
    finally:
        for one in started:
            one.kill()
    return [(one.returncode, text) for one, text in zip(started, said, strict=True)]
