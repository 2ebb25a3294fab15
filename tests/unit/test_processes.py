"""The processes are the same wherever they are started from, and know which they are."""

import gc
import re

import pytest

from nexgent import settings
from nexgent.runtime import startup
from nexgent.runtime.bootstrap import LOCKS, VENDORED
from nexgent.runtime.environment import PROJECT_DIR
from nexgent.runtime.gates import address_problems, template_problems
from nexgent.runtime.processes import COMMANDS, argv, kind_of

DESIGNED = {
    "web": "manage.py web",
    "exits": "celery -A nexgent worker -Q exits -P threads -c 4",
    "entries": "celery -A nexgent worker -Q entries -P threads -c 4",
    "prices": "celery -A nexgent worker -Q prices -P threads -c 8",
    "default": "celery -A nexgent worker -Q default -P threads -c 8",
    "beat": "celery -A nexgent beat",
}


def test_the_commands_are_those_of_the_architecture():
    assert {name: DESIGNED[name] in command for name, command in COMMANDS.items()} == dict.fromkeys(DESIGNED, True)


def test_procfile_starts_the_same_processes_in_production():
    lines = re.findall(r"^(\w+): (.*)$", (PROJECT_DIR / "Procfile").read_text(), re.M)
    commands = {name: re.sub(r"^(?:[A-Z_]+=\S+ )+", "", line) for name, line in lines}

    assert commands == COMMANDS
    assert all("NEXGENT_ENV=${NEXGENT_ENV:-production}" in line for _, line in lines)
    assert "HOST=${HOST:-0.0.0.0}" in dict(lines)["web"]


def test_compose_starts_the_same_processes():
    text = (PROJECT_DIR / "compose.yaml").read_text()
    found = dict(re.findall(r"^  (\w+):\n    <<: \*nexgent\n    command: (.*)$", text, re.M))

    assert found == COMMANDS


def test_the_image_starts_the_web_process_in_production():
    text = (PROJECT_DIR / "Dockerfile").read_text()

    assert f"CMD {COMMANDS['web'].split()}".replace("'", '"') in text
    assert "NEXGENT_ENV=production" in text
    assert "HOST=0.0.0.0" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_a_process_knows_its_kind_and_pool_from_its_command_line(name):
    words = argv(name)[1:]
    line = ["/x/site-packages/celery/__main__.py", *words[2:]] if words[0] == "-m" else words

    assert kind_of(line) == name
    assert settings.POOL_SIZE[name] >= 2


def test_other_commands_use_no_pool():
    assert kind_of(["manage.py", "migrate"]) == "command"
    assert kind_of(["/usr/bin/pytest", "web"]) == "command"
    assert "command" not in settings.POOL_SIZE


def test_all_pools_fit_into_the_embedded_server():
    assert sum(settings.POOL_SIZE.values()) <= 100 // 2


def test_lock_files_hold_no_address():
    assert address_problems(PROJECT_DIR) == []


@pytest.mark.parametrize("lock", [*LOCKS, "bootstrap.lock"])
def test_every_locked_package_has_a_version_and_hashes(lock):
    blocks = re.split(r"^(?=\S)", (PROJECT_DIR / lock).read_text(), flags=re.M)
    packages = [block for block in blocks if block.strip()]

    assert packages
    assert [block.split()[0] for block in packages if not re.match(r"[\w.\[\],-]+==\S+", block)] == []
    assert [block.split()[0] for block in packages if "--hash=sha256:" not in block] == []


def test_templates_compile():
    assert template_problems(PROJECT_DIR) == []


def test_what_the_front_end_copies_is_locked():
    locked = (PROJECT_DIR / "package-lock.json").read_text()
    packages = {re.match(r"(?:@[^/]+/)?[^/]+", source)[0] for source in VENDORED.values()}

    assert {package: f'"node_modules/{package}"' in locked for package in packages} == dict.fromkeys(packages, True)


def test_a_process_of_ours_collects_no_garbage_until_it_has_started():
    try:
        startup.begin(["manage.py", "migrate"])
        assert gc.isenabled()
        startup.begin(["manage.py", "web"])
        assert not gc.isenabled()
    finally:
        startup.end()

    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    gc.unfreeze()
