"""Claims of one `Idempotency-Key` that end while others ask for it."""

from types import SimpleNamespace

import pytest

from nexgent.api import idempotency
from nexgent.api.models import IdempotentAnswer
from nexgent.errors import Refusal
from tests.racing import together

pytestmark = pytest.mark.django_db(transaction=True)

CLOSE = SimpleNamespace(
    principal=SimpleNamespace(name_in_workspace="key:1"), method="POST", path_info="/close", data={}, headers={}
)


def claimed_and_forgotten():
    """A request that is refused: it keeps nothing under its key."""
    try:
        row_id = idempotency.claim(CLOSE, "k")
    except Refusal as refusal:
        return refusal.code
    idempotency.release(row_id, forget=True)
    return "forgotten"


def test_a_claim_that_is_forgotten_meanwhile_is_taken_by_the_next():
    answers = together([claimed_and_forgotten] * 600, threads=8)

    assert {str(answer) for answer in answers} == {"forgotten", "IDEMPOTENCY_IN_PROGRESS"}
    assert IdempotentAnswer.objects.count() == 0
