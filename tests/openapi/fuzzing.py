"""Requests made from the OpenAPI text against a real server, right ones and wrong ones, alone and in chains.

schemathesis makes them and checks each answer: status, headers, content type and schema as described, no 5xx, wrong
data refused, right data not called wrong, credentials needed. Right requests mostly ask for what exists (`World`), so
that they come past the look-up.
"""

import contextlib
import copy
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis import GenerationMode
from schemathesis.core.failures import Failure, FailureGroup

from tests.trader import new_mint

SECONDS = 20
WRONG_SHARE = 0.15
CHAINED_SHARE = 0.2
KNOWN_SHARE = 0.85
STEPS = 6
NOT_REACHED = frozenset({401, 403, 405, 413, 415})
SETTINGS = {
    "database": None,
    "deadline": None,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
    "report_multiple_bugs": False,
    "print_blob": False,
}
CONFIG = {
    # A trade may be refused for what no schema can say (balance, price): a documented 400 with a code of its own.
    "checks": {
        "positive_data_acceptance": {
            "expected-statuses": ["2xx", "3xx", "400", "401", "403", "404", "409", "422", "423"]
        }
    },
    # Of chains; requests alone say which they are. A chain has right credentials, so that a wrong one proves nothing.
    "generation": {"allow-x00": False, "mode": "positive"},
}
CREDENTIALS = ("Authorization", "X-API-Key")
ENDLESS = "text/event-stream"
UNSAYABLE = (
    "too large or too small",  # of any number in a body
    "should be greater",  # of a decimal text
    "should be less",
    "together with",
    "or a preset",
    "or scopes",
    "or tokenAddress is required",
    "must be before to",
    "must not begin with sim_",
    "is wrong",  # a password
    "was used already or has expired",  # a challenge of the server
    "is not what the app shows",
    "an owner sees all agents",
    "addresses or networks",
    "is for sales",
    "is for buys",
    "must be above 0",
    "lie in the future",
    "name of a time zone",
    "an e-mail address",
    "must start with https://",
    "is no answer to this challenge",
    "'message': 'is required'",  # by what another field says
)
"""Why right data may be called wrong: what a schema cannot say."""
OF_ITS_CONTENT = {"previewSignalHook", "createSignalHook", "changeSignalHook"}
"""What a template makes of a message is the answer, or the refusal."""
NO_BLANKS = r"^[^\s\x1c-\x1f\x85]+$"
"""Python trims more than other regular expressions call blank."""
UUID_OR_NOTHING = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?$"
HEALTH = {"getHealth", "getReady"}
"""Their 503 is an answer: no engine runs here."""


@dataclass
class World:
    """What exists for the caller, by the name under which requests ask for it."""

    url: str
    token: Callable[[], str]
    """A new credential: some requests end the session they are made with."""
    known: dict[str, list[Any]]


@dataclass
class Report:
    cases: int = 0
    reached: int = 0
    by_status: Counter[int] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    """Operation and status of what reached no handler."""
    by_kind: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, response: Any, label: str) -> None:
        self.cases += 1
        if not is_reached(response):
            self.missed[f"{label} {response.status_code}"] += 1
        self.by_kind[kind] += 1
        self.by_status[response.status_code] += 1
        self.reached += is_reached(response)

    @property
    def reached_percent(self) -> float:
        return 100 * self.reached / self.cases if self.cases else 0

    def lines(self) -> list[str]:
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(self.by_kind.items()))
        statuses = ", ".join(f"{status} × {count}" for status, count in sorted(self.by_status.items()))
        found = [f"{name}\n{text}" for name, text in self.failures.items()]
        total = f"fuzz: {self.cases} cases ({kinds}), {self.reached} ({self.reached_percent:.0f} %) reached a handler"
        missed = ", ".join(f"{name} × {count}" for name, count in self.missed.most_common(12))
        return [
            *found,
            f"statuses: {statuses}",
            f"most often refused before: {missed}",
            f"{total}, {len(self.failures)} failures",
        ]


def is_reached(response: Any) -> bool:
    """Whether the request came past routing, credential, method, media type and validation."""
    if response.status_code in NOT_REACHED:
        return False
    if response.status_code in (400, 404):
        body = response.json()
        return body["code"] not in ("VALIDATION_ERROR", "NOT_FOUND", "INVALID_CONFIG")
    return True


@schemathesis.check
def right_is_not_called_wrong(ctx: Any, response: Any, case: Any) -> None:
    """What follows the schema is no VALIDATION_ERROR."""
    is_right = case.meta is not None and case.meta.generation.mode.is_positive
    if not is_right or response.status_code != 400 or response.json().get("code") != "VALIDATION_ERROR":
        return
    details = str(response.json()["details"])
    is_of_content = case.operation.definition.raw["operationId"] in OF_ITS_CONTENT
    if not is_of_content and not any(reason in details for reason in UNSAYABLE):
        raise Failure(
            operation=case.operation.label,
            title="Right data is called wrong",
            message=f"{details} for {case.body!r} {case.query!r}",
        )


class Fuzz:
    """One run against one server."""

    def __init__(self, text: dict[str, Any], world: World, *, seed: int) -> None:
        schemathesis.openapi.format("solana-address", st.builds(new_mint))
        self.world, self.report = world, Report()
        self.random, self.seed = random.Random(seed), seed
        self.session = requests.Session()
        self.headers = {"Authorization": f"Bearer {world.token()}"}
        text = _asked(text)
        self.loose, self.strict = self._loaded(_lenient(text)), self._loaded(_without_more(text))

    def _loaded(self, text: dict[str, Any]) -> Any:
        schema = schemathesis.openapi.from_dict(text, config=schemathesis.Config.from_dict(CONFIG))
        schema.config.update(base_url=self.world.url)
        return schema

    def run(self, cases: int) -> Report:
        """About so many cases, in these shares: chained, wrong, right."""
        self._chains(round(cases * CHAINED_SHARE))
        self._alone(GenerationMode.NEGATIVE, round(cases * WRONG_SHARE))
        self._alone(GenerationMode.POSITIVE, cases - self.report.cases)
        return self.report

    def _alone(self, mode: GenerationMode, cases: int) -> None:
        end, turn = self.report.cases + cases, 0
        schema = self.strict if mode is GenerationMode.POSITIVE else self.loose
        operations = [found.ok() for found in schema.get_all_operations()]
        while self.report.cases < end:
            each = max(1, -(-(end - self.report.cases) // len(operations)))
            before = self.report.cases
            for operation in operations:
                if self.report.cases < end:
                    self._one(operation, mode, min(each, end - self.report.cases), turn)
            turn += 1
            if self.report.cases == before:
                return

    def _one(self, operation: Any, mode: GenerationMode, cases: int, turn: int) -> None:
        made = 0

        @hypothesis.seed(self.seed * 1000 + turn)
        @hypothesis.settings(max_examples=cases, **SETTINGS)
        @hypothesis.given(operation.as_strategy(mode))
        def send(case: Any) -> None:
            nonlocal made
            made += 1
            if mode is GenerationMode.POSITIVE:
                self._ask_for_known(case)
            self._send("right" if mode is GenerationMode.POSITIVE else "wrong", case)

        try:
            send()
        except hypothesis.errors.Unsatisfiable:
            return  # there is nothing wrong to say to a route without parameters

    def _send(self, kind: str, case: Any) -> None:
        headers = self.headers
        response = case.call(session=self.session, headers=headers, timeout=SECONDS)
        self._count(kind, response, case)
        try:
            case.validate_response(response, headers=headers, transport_kwargs={"session": self.session})
        except FailureGroup as group:
            self._note(case, group.exceptions)
        except Failure as failure:
            self._note(case, [failure])

    def _count(self, kind: str, response: Any, case: Any) -> None:
        self.report.add(kind, response, case.operation.label)
        if response.status_code == 401:
            self.headers["Authorization"] = f"Bearer {self.world.token()}"

    def _note(self, case: Any, failures: Any) -> None:
        for failure in failures:
            name = f"{case.operation.label}: {type(failure).__name__} {failure.title}"
            self.report.failures.setdefault(name, f"{failure.message}\n{case.as_curl_command()}"[:1500])

    def _ask_for_known(self, case: Any) -> None:
        """Ask as somebody known, and mostly for what exists. Deletions find nothing: chains delete their own."""
        _take_credentials(case)
        if case.method.upper() == "DELETE" or self.random.random() > KNOWN_SHARE:
            return
        for part in (case.path_parameters, case.query, case.body):
            if isinstance(part, dict):
                for name in part.keys() & self.world.known.keys():
                    part[name] = self.random.choice(self.world.known[name])

    def _chains(self, cases: int) -> None:
        fuzz, end = self, self.report.cases + cases
        machine = self.strict.as_state_machine()

        class Chain(machine):  # type: ignore[misc, valid-type]
            def get_call_kwargs(self, case: Any) -> dict[str, Any]:
                return {"session": fuzz.session, "headers": fuzz.headers, "timeout": SECONDS}

            def before_call(self, case: Any) -> None:
                _take_credentials(case)

            def after_call(self, response: Any, case: Any) -> None:
                fuzz._count("chained", response, case)

            def validate_response(self, response: Any, case: Any, **more: Any) -> None:
                try:
                    super().validate_response(response, case, **more)
                except FailureGroup as group:
                    fuzz._note(case, group.exceptions)

        turn = 0
        while self.report.cases < end:
            settings = hypothesis.settings(
                max_examples=max(1, (end - self.report.cases) // STEPS), stateful_step_count=STEPS, **SETTINGS
            )
            hypothesis.seed(self.seed + turn)(Chain)
            # The server remembers what earlier chains did, so that the same draws may lead elsewhere.
            with contextlib.suppress(FlakyStrategyDefinition):
                Chain.run(settings=settings)
            turn += 1


def _take_credentials(case: Any) -> None:
    """A made-up credential is no right one, whatever its form."""
    for name in CREDENTIALS:
        case.headers.pop(name, None)
    case.cookies.clear()


def _without_more(text: dict[str, Any]) -> dict[str, Any]:
    """The text as a careful client reads it: bodies say only what is listed, texts are no blanks, cursors are the
    server's. What is ignored or trimmed tells nothing.
    """
    text = copy.deepcopy(text)
    for schema in text["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
            for inner in schema["properties"].values():
                for kind in (inner, *inner.get("anyOf", ())):
                    if kind.get("minLength") and not kind.keys() & {"pattern", "format", "enum"}:
                        kind["pattern"] = NO_BLANKS
    for methods in text["paths"].values():
        for operation in methods.values():
            if "parameters" in operation:
                operation["parameters"] = [one for one in operation["parameters"] if one["name"] != "cursor"]
    return text


def _lenient(text: dict[str, Any]) -> dict[str, Any]:
    """The text with times in queries as the server reads them: a date alone will do, and nothing is no filter. Without
    credentials, so that what is wrong is the data; wrong credentials are tried with right data.
    """
    text = copy.deepcopy(text)
    del text["components"]["securitySchemes"]
    for methods in text["paths"].values():
        for operation in methods.values():
            operation.pop("security", None)
            for one in operation.get("parameters", ()):
                if one["in"] == "query":
                    _or_nothing(one["schema"])
    return text


def _or_nothing(schema: dict[str, Any]) -> None:
    """The schema of a parameter in a query, the empty text allowed too."""
    kind = schema.get("format")
    if kind in ("date-time", "uuid"):
        del schema["format"]
    if kind == "uuid":
        schema["pattern"] = UUID_OR_NOTHING
    elif "pattern" in schema:
        schema["pattern"] = f"{schema['pattern']}|^$"
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], ""]
    schema.pop("minLength", None)


def _asked(text: dict[str, Any]) -> dict[str, Any]:
    """The text without answers that never end, and without health."""
    paths: dict[str, Any] = {}
    for path, methods in text["paths"].items():
        for method, operation in methods.items():
            is_endless = any(ENDLESS in answer.get("content", {}) for answer in operation["responses"].values())
            if not is_endless and operation["operationId"] not in HEALTH:
                paths.setdefault(path, {})[method] = operation
    return {**text, "paths": paths}
