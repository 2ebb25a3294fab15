"""`python -m nexgent.runtime.scratch [--durable] COMMAND...`: run a command beside fresh servers that go when it ends.

Replays and long proofs use it, so that they never touch anybody's data: PostgreSQL and Valkey in a temporary directory,
migrated, with their addresses in the environment, and a tape's clock (`NEXGENT_CLOCK`) shared by all processes.
PostgreSQL does not wait for the disk, unless `--durable` says so (measurements).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from nexgent.runtime.embedded import EmbeddedServers

PROJECT_DIR = Path(__file__).resolve().parents[2]


def run(command: list[str], *, durable: bool = False) -> int:
    """Run `command` in a scratch system; returns its exit code. `durable`: commits wait for the disk."""
    folder = Path(tempfile.mkdtemp(prefix="nexgent-scratch-"))
    folder.chmod(0o711)
    servers = EmbeddedServers(folder)
    try:
        environment = os.environ | {
            "NEXGENT_ENV": "test",
            "NEXGENT_DATA_DIR": str(folder),
            "DATABASE_URL": servers.start_postgres(durable=durable),
            "REDIS_URL": servers.start_valkey(),
            "DJANGO_SETTINGS_MODULE": "nexgent.settings",
        }
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, cwd=PROJECT_DIR, env=environment, check=True)
        environment["NEXGENT_CLOCK"] = f"tape:{folder / 'clock'}"
        return subprocess.run(command, cwd=PROJECT_DIR, env=environment, check=False).returncode
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    is_durable = sys.argv[1:2] == ["--durable"]
    sys.exit(run(sys.argv[2:] if is_durable else sys.argv[1:], durable=is_durable))
