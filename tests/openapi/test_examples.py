"""Examples of the OpenAPI text: every answer and every body has one, it fits its schema, and answers are real ones."""

import re

import jsonschema

from nexgent.api.document import document
from tests.contract import examples

JSON = "application/json"


def shown():
    """(what it is of, content) of every good JSON answer and every body."""
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            name = f"{method.upper()} {path}"
            if "requestBody" in operation:
                yield f"{name} body", operation["requestBody"]["content"][JSON]
            for status, answer in operation["responses"].items():
                if status.startswith("2") and JSON in answer.get("content", {}):
                    yield f"{name} {status}", answer["content"][JSON]


def test_every_body_and_every_good_answer_has_an_example():
    found = list(shown())

    assert [name for name, content in found if "example" not in content] == []
    assert len(found) > 160


def test_every_example_fits_its_schema():
    components = document()["components"]
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    wrong = []
    for name, content in shown():
        schema = {**content["schema"], "components": components}
        validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
        wrong += [
            f"{name}: {problem.json_path} {problem.message}"
            for problem in validator.iter_errors(content.get("example"))
        ]

    assert wrong == []


def test_the_examples_of_answers_are_those_of_the_contract():
    written = examples.FILE.read_text()

    assert written == examples.written(), "write them with `python -m tests.contract --examples`"
    assert re.findall(r"<[a-z][a-z \d]*>", written) == []


def test_no_answer_promises_that_nothing_will_be_added():
    schemas = document()["components"]["schemas"]
    names, waiting = set(), [document()["paths"][path][method]["responses"] for path, method in operations()]
    while waiting:
        new = set(_names_in(waiting.pop())) - names
        names |= new
        waiting += [schemas[name] for name in new]

    assert [name for name in sorted(names) if schemas[name].get("additionalProperties") is False] == []
    assert {"Agent", "Signal", "Position", "Error"} <= names


def operations():
    return [(path, method) for path, methods in document()["paths"].items() for method in methods]


def _names_in(part):
    """The schemas that a part of the text refers to."""
    if isinstance(part, dict):
        reference = part.get("$ref", "")
        if isinstance(reference, str) and reference.startswith("#/components/schemas/"):
            yield reference.rpartition("/")[2]
        for inner in part.values():
            yield from _names_in(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _names_in(inner)
