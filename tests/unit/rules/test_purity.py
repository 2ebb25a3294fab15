"""The rules load without Django, and decide fast enough for replays of millions of ticks."""

import subprocess
import sys
from pathlib import Path

MODULES = sorted(
    f"trading.rules.{path.stem}" for path in (Path(__file__).parents[3] / "trading" / "rules").glob("[!_]*.py")
)


def test_the_rules_import_no_django_and_no_outside_service() -> None:
    program = (
        f"import sys, {', '.join(MODULES)}; print(','.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    )

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    loaded = set(run.stdout.strip().split(","))
    assert {"trading", "numpy"} <= loaded
    assert loaded.isdisjoint({"django", "celery", "redis", "psycopg", "httpx", "channels", "rest_framework"})
