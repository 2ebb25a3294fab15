"""`make lock`: lock files from `pyproject.toml` and `package.json`, with names, versions and hashes, no addresses."""

import json
import os
import subprocess
from pathlib import Path

from nexgent.runtime.bootstrap import ROOT, SetupError, find_npm, find_uv, uv_index

PACKAGE_LOCK = ROOT / "package-lock.json"
_PLAIN = ("--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url")


def compile_lock(target: Path, *inputs: str) -> None:
    """One lock file; versions that it holds already stay where they still fit."""
    uv = find_uv()
    if uv is None:
        raise SetupError("lock files are made by uv, and it is not here")
    command = [str(uv), "pip", "compile", *_PLAIN, "--python-version", "3.11", "-o", str(target), *inputs]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **uv_index()})


def without_addresses(value: object) -> object:
    """npm's lock without the places where packages are paid for or fetched from."""
    if isinstance(value, dict):
        return {key: without_addresses(item) for key, item in value.items() if key not in {"funding", "resolved"}}
    return value


def main() -> None:
    compile_lock(ROOT / "requirements.lock", "pyproject.toml")
    compile_lock(ROOT / "requirements-dev.lock", "--group", "dev", "-c", "requirements.lock")
    compile_lock(ROOT / "bootstrap.lock", "--group", "bootstrap", "--group", "frontend")
    path, npm = find_npm()
    command = [str(word) for word in (*npm, "install", "--package-lock-only", "--silent")]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "PATH": path})
    text = json.dumps(without_addresses(json.loads(PACKAGE_LOCK.read_text())), indent=2)
    PACKAGE_LOCK.write_text(f"{text}\n")


if __name__ == "__main__":
    main()
