"""The client collection has every operation of the OpenAPI text, with variables for where and who."""

import json

from django.core.management import call_command

from nexgent.api.document import document


def test_the_collection_has_every_operation(tmp_path, capsys):
    path = tmp_path / "nexgent.json"

    call_command("postman", str(path))

    made = json.loads(path.read_text())
    requests = [one for folder in made["item"] for one in folder["item"]]
    wanted = {
        (method.upper(), route.removeprefix("/api/v1/").replace("{", "{{").replace("}", "}}"))
        for route, methods in document()["paths"].items()
        for method in methods
    }
    assert {(one["request"]["method"], "/".join(one["request"]["url"]["path"])) for one in requests} == wanted
    assert f"{len(requests)} requests" in capsys.readouterr().out
    assert {"baseUrl", "token", "agentId"} <= {one["key"] for one in made["variable"]}
    assert made["auth"]["bearer"][0]["value"] == "{{token}}"


def test_a_request_carries_a_body_that_can_be_sent(tmp_path):
    path = tmp_path / "nexgent.json"
    call_command("postman", str(path))

    requests = {one["id"]: one["request"] for folder in json.loads(path.read_text())["item"] for one in folder["item"]}

    assert json.loads(requests["createSignal"]["body"]["raw"])["signalStrength"] == 4
    assert requests["signIn"]["auth"] == {"type": "noauth"}
    assert requests["listTransactions"]["url"]["raw"].startswith("{{baseUrl}}/agent-transactions?agentId=")
    assert {one["key"] for one in requests["buy"]["header"]} == {"Idempotency-Key", "Content-Type"}
