"""The backup of `docs/operations.md`: its own commands dump a database in use and restore it, and the books balance."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nexgent.runtime.environment import PROJECT_DIR
from tests.servers import database_url
from tests.trader import Trader
from wallets.models import Entry

SECONDS_MAX = 60
NAMES = {
    "dump": "nexgent.dump",
    "new": "/where/the/new/one/is",
    "old": "/where/the/old/one/is",
    "run": "make run",
}
"""What the page leaves to its reader."""


def environment(data_dir: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "REDIS_URL")}
    return kept | {"NEXGENT_DATA_DIR": str(data_dir), "NEXGENT_ENV": "development"}


def command(*words: str) -> list[Any]:
    return [sys.executable, "manage.py", *words]


@pytest.fixture
def fresh() -> Iterator[Path]:
    """A fresh data directory whose servers run alone."""
    with tempfile.TemporaryDirectory(prefix="nexgent-test-") as name:
        data_dir = Path(name)
        data_dir.chmod(0o755)
        servers = subprocess.Popen(
            command("servers"), cwd=PROJECT_DIR, env=environment(data_dir), stdout=subprocess.PIPE, text=True
        )
        assert servers.stdout is not None
        assert "are ready" in servers.stdout.readline()
        yield data_dir
        servers.send_signal(signal.SIGTERM)
        said, _ = servers.communicate(timeout=SECONDS_MAX)
        assert (servers.returncode, said) == (0, "The servers have stopped.\n")


def page(heading: str, **names: str) -> str:
    """The commands below a heading of `docs/operations.md`, with names of ours for those of the page."""
    below = (PROJECT_DIR / "docs/operations.md").read_text().partition(f"\n## {heading}\n")[2]
    words = below.partition("```sh\n")[2].partition("```")[0]
    for ours, theirs in ((names[key], NAMES[key]) for key in names):
        assert theirs in words
        words = words.replace(theirs, ours)
    return words


def pasted(words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """What a shell in the checkout says when somebody pastes this; not even the first failure ends it."""
    env = environment(Path(more.pop("data_dir", "/nowhere"))) | more
    return subprocess.run(
        ["bash"], input=words, cwd=PROJECT_DIR, env=env, capture_output=True, text=True, timeout=180, check=False
    )


@pytest.fixture
def room() -> Iterator[Path]:
    """A directory that the unprivileged server may enter, too."""
    with tempfile.TemporaryDirectory(prefix="nexgent-test-") as name:
        Path(name).chmod(0o755)
        (Path(name) / "old").mkdir()
        (Path(name) / "old" / "secret.key").write_text("signs")
        yield Path(name)


def test_the_commands_of_the_page_restore_a_backup_into_a_fresh_data_directory(tape, room):
    trader = Trader(tape)
    trader.price("0.001")
    trader.signal()
    trader.wait(60)
    trader.price("0.0005")
    dump = str(room / "nexgent.dump")

    dumped = pasted(page("Backup", dump=dump), DATABASE_URL=database_url())
    restored = pasted(page("Restore", dump=dump, new=str(room / "new"), old=str(room / "old"), run="echo it runs"))

    assert (dumped.returncode, dumped.stderr) == (0, "")
    assert (restored.returncode, restored.stderr) == (0, "")
    *books, end = restored.stdout.splitlines()
    assert (f"{Entry.objects.count()} entries" in "".join(books), end) == (True, "it runs")
    assert Entry.objects.count() == 3
    assert (room / "new" / "secret.key").read_text() == "signs"
    assert not (room / "new" / "postgres" / "data" / "postmaster.pid").exists()


def test_a_restore_that_fails_says_so_and_nothing_runs_on_the_empty_database(room):
    (room / "nexgent.dump").write_text("no dump")
    names = {"dump": str(room / "nexgent.dump"), "new": str(room / "new"), "old": str(room / "old")}

    failed = pasted(page("Restore", run="echo it runs", **names))

    assert failed.returncode == 1
    assert "pg_restore: error: " in failed.stderr
    assert "it runs" not in failed.stdout
    assert (room / "new" / "secret.key").read_text() != "signs"


def test_a_second_start_on_the_same_data_directory_is_refused(fresh):
    second = subprocess.run(
        command("servers"),
        cwd=PROJECT_DIR,
        env=environment(fresh),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )

    assert second.returncode == 1
    assert "already runs on the data directory" in second.stderr
