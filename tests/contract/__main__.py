"""`python -m tests.contract --coverage`: run every case, then say how much of the table is proved.

Exit 1 when a route is unlisted, a listed status has no passing case, or a case fails. `--write` commits golden files
anew (read the difference before you keep it), and the examples of the OpenAPI text that are made of them; `--examples`
writes these alone; other arguments go to pytest.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def write_examples() -> int:
    """`nexgent/api/examples.json` from the golden files."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexgent.settings")
    import django

    django.setup()
    from tests.contract import examples

    examples.FILE.write_text(examples.written())
    return 0


def main(arguments: list[str]) -> int:
    if "--examples" in arguments:
        return write_examples()
    rest = [argument for argument in arguments if argument not in ("--coverage", "--write")]
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        environment = {**os.environ, "CONTRACT_RESULTS": str(results)}
        if "--write" in arguments:
            environment["CONTRACT_WRITE"] = "1"
        command = [sys.executable, "-m", "pytest", "tests/contract", "-q", *rest]
        run = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        if "--write" in arguments:
            write_examples()
        if "--coverage" not in arguments:
            return run.returncode
        if not results.exists():
            sys.stdout.write("the cases did not run\n")
            return 1
        found = json.loads(results.read_text())
    sys.stdout.write("".join(f"{line}\n" for line in found["missing"]))
    routes, statuses = found["routes"], found["statuses"]
    sys.stdout.write(f"routes {routes[0]}/{routes[1]}, statuses {statuses[0]}/{statuses[1]}\n")
    return 1 if run.returncode or found["missing"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
