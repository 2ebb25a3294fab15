"""The static gates of `make check` that need the project itself: migrations, templates, lock files, Django's checks."""

import io
import os
import secrets
import sys
import warnings
from pathlib import Path

import django
from django.conf import settings
from django.core.management import CommandError, call_command
from django.template import TemplateSyntaxError, engines
from django.template.exceptions import TemplateDoesNotExist

LOCKS = ("requirements.lock", "requirements-dev.lock", "bootstrap.lock", "package-lock.json")


def templates(root: Path) -> list[Path]:
    """Every template of ours, those of the apps included."""
    folders = [root / "templates", *root.glob("*/templates"), *root.glob("nexgent/*/templates")]
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in {".html", ".txt"})


def template_problems(root: Path) -> list[str]:
    """Templates that do not compile."""
    engine = engines["django"]
    problems = []
    for path in templates(root):
        try:
            engine.from_string(path.read_text())
        except (TemplateSyntaxError, TemplateDoesNotExist) as problem:
            problems.append(f"{path.relative_to(root)}: {problem}")
    return problems


def address_problems(root: Path) -> list[str]:
    """Lines of lock files that name a place to fetch from."""
    return [
        f"{name}:{number}: an address in a lock file: {line.strip()[:80]}"
        for name in LOCKS
        for number, line in enumerate((root / name).read_text().splitlines(), start=1)
        if "://" in line
    ]


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexgent.settings")
    os.environ.setdefault("NEXGENT_ENV", "test")
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(48))  # nothing is written below the data directory
    warnings.filterwarnings("ignore", message="Got an error checking a consistent migration history")
    django.setup()
    problems = template_problems(settings.BASE_DIR) + address_problems(settings.BASE_DIR)
    try:
        call_command("check", verbosity=0, stdout=io.StringIO())
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)
    except CommandError as problem:
        problems.append(str(problem))
    except SystemExit:
        problems.append("models and migrations differ: run manage.py makemigrations")
    for line in problems:
        print(line, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
