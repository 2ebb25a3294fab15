"""`python -m tests.security`: every attack of the abuse table, wherever its test stands, and the table."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexgent.settings")
    import django

    django.setup()
    from tests.security.table import PROOFS

    elsewhere = sorted({f"tests/{proof.test}" for proof in PROOFS if "/test_abuse.py" not in proof.test})
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/security/test_abuse.py", *elsewhere]
    return subprocess.run(words, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
