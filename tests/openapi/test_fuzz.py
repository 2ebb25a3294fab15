"""A part of the fuzz in CI; `make fuzz` runs the whole."""

import os

import pytest

from nexgent.api.document import document
from tests.openapi import world
from tests.openapi.fuzzing import Fuzz

pytestmark = pytest.mark.django_db(transaction=True)


def test_no_request_made_from_the_text_finds_a_difference(capsys):
    cases, seed = int(os.environ.get("FUZZ_CASES", "500")), int(os.environ.get("FUZZ_SEED", "1"))

    with world.unlimited_server() as url:
        made = world.make(url)
        with world.workers(made.known["tokenAddress"]):
            report = Fuzz(document(), made, seed=seed).run(cases)

    with capsys.disabled():
        print("\n" + "\n".join(report.lines()))
    assert report.failures == {}
    assert report.cases >= cases
    assert report.reached_percent >= 70
    assert max(report.by_status) < 500
