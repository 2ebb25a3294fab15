"""What an operator may set: types, rules of production, sentences."""

import re
import secrets
from pathlib import Path

import pytest

from nexgent.runtime import environment
from nexgent.runtime.environment import PROJECT_DIR, Environment

GOOD = "yW8Qz3kP0vXr5uT1nB7mL9cD2fH4jK6sA8eR0tY5qU"


@pytest.fixture
def variables(monkeypatch):
    """An environment in which nothing is set."""
    for name in Environment.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NEXGENT_ENV", "test")
    return monkeypatch


def sentence_of(variables, **values: str) -> str:
    for name, value in values.items():
        variables.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        environment.load()
    return str(ended.value)


def test_nothing_set_gives_the_defaults(variables):
    loaded = environment.load()

    assert (loaded.host, loaded.port, loaded.registration) == ("127.0.0.1", 8000, "off")
    assert loaded.price_feeds == ("jupiter", "dexscreener")
    assert loaded.legacy_refresh is True


def test_an_empty_variable_counts_as_unset(variables):
    variables.setenv("PORT", "")

    assert environment.load().port == 8000


def test_lists_are_separated_by_commas(variables):
    variables.setenv("PRICE_FEEDS", "synthetic, jupiter,")
    variables.setenv("TRUSTED_PROXIES", "10.0.0.0/8,127.0.0.1")

    loaded = environment.load()

    assert loaded.price_feeds == ("synthetic", "jupiter")
    assert loaded.trusted_proxies == ("10.0.0.0/8", "127.0.0.1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("NEXGENT_ENV", "staging"),
        ("REGISTRATION", "maybe"),
        ("DATABASE_URL", "mysql://u:p@h/d"),
        ("REDIS_URL", "http://h"),
        ("JUPITER_API_URL", "api.jup.ag"),
        ("PUBLIC_URL", "https://"),
        ("TRUSTED_PROXIES", "10.0.0.0/99"),
        ("LOG_LEVEL", "LOUD"),
        ("JUPITER_RATE", "0"),
    ],
)
def test_a_wrong_value_ends_with_a_sentence_that_names_the_variable(variables, name, value):
    assert f"\n{name}: " in sentence_of(variables, **{name: value})


def test_every_wrong_variable_is_named_at_once(variables):
    sentence = sentence_of(variables, PORT="x", LOG_LEVEL="y")

    assert re.findall(r"^[A-Z_]+", sentence.partition("\n")[2], re.M) == ["PORT", "LOG_LEVEL"]


def test_the_value_of_a_secret_is_never_repeated(variables):
    sentence = sentence_of(variables, DATABASE_URL="mysql://user:hunter2hunter2@host/name")

    assert "hunter2" not in sentence


@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SECRET"])
@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("short", "has 5 characters"),
        ("django-insecure-" + GOOD, "known sample"),
        ("your-secret-key-that-is-long-enough-to-pass", "known sample"),
        ("a" * 64, "too easy to guess"),
        ("abcabcabcabcabcabcabcabcabcabcabcabcabcabc", "too easy to guess"),
    ],
)
def test_production_refuses_a_weak_secret(variables, name, secret, why):
    sentence = sentence_of(variables, NEXGENT_ENV="production", **{name: secret})

    assert name in sentence
    assert why in sentence
    assert secret not in sentence


def test_production_takes_a_good_secret(variables):
    variables.setenv("NEXGENT_ENV", "production")
    variables.setenv("SECRET_KEY", GOOD)

    assert environment.load().secret_key.get_secret_value() == GOOD


def test_generated_secrets_are_good_enough_for_production():
    assert [environment.weakness(secrets.token_urlsafe(48)) for _ in range(200)] == [""] * 200


def test_development_takes_any_secret(variables):
    variables.setenv("NEXGENT_ENV", "development")
    variables.setenv("SECRET_KEY", "dev")

    assert environment.load().secret_key.get_secret_value() == "dev"


def test_production_refuses_debugging(variables):
    assert "NEXGENT_DEBUG must be off" in sentence_of(variables, NEXGENT_ENV="production", NEXGENT_DEBUG="on")


def test_a_secret_is_generated_once_readable_by_its_owner_alone(tmp_path: Path):
    file = tmp_path / "data" / "secret.key"

    first, second = environment.stored_secret(file), environment.stored_secret(file)

    assert first == second
    assert environment.weakness(first) == ""
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret.key"]


def test_a_directory_below_a_closed_one_is_not_reachable_by_others(tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    inner = closed / "inner"
    inner.mkdir(mode=0o755)

    assert environment.is_reachable_by_others(Path("/usr/bin"))
    assert not environment.is_reachable_by_others(inner)


def test_the_example_file_documents_every_variable_and_no_other():
    text = (PROJECT_DIR / ".env.example").read_text()

    named = set(re.findall(r"^([A-Z_]+)=", text, re.M))

    assert named == {name.upper() for name in Environment.model_fields}


def test_the_example_file_holds_the_defaults(variables):
    lines = re.findall(r"^([A-Z_]+)=(.+)$", (PROJECT_DIR / ".env.example").read_text(), re.M)
    for name, value in lines:
        variables.setenv(name, value)

    assert environment.load().model_dump() == Environment(nexgent_env="development").model_dump()
