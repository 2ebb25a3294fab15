"""What the book has read anew leaves at once: no ring of objects waits for the garbage collector."""

import gc
import weakref
from uuid import uuid4

import pytest

from nexgent.errors import Refusal
from tests.trader import Trader, tape_clock
from trading.engine import positions
from trading.engine.entries import EntryOutcome
from trading.engine.work import Result
from trading.models import Position

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_position_whose_state_was_read_goes_with_its_last_reference() -> None:
    # given
    with tape_clock() as tape:
        trader = Trader(tape)
        trader.price("1")
        trader.buy("1")
    gc.disable()
    try:
        position = Position.objects.select_related("watermark", "agent", "wallet").get()
        ghost = weakref.ref(position)
        # when
        state = positions.state_of(position)
        del position
        # then
        assert state.peak > 0
        assert ghost() is None
    finally:
        gc.enable()


def test_a_refusal_that_is_kept_as_an_answer_keeps_nothing_of_its_way() -> None:
    class Large:
        pass

    def refused() -> tuple[Result, EntryOutcome, "weakref.ref[Large]"]:
        large = Large()
        try:
            try:
                raise ValueError(large)
            except ValueError as problem:
                raise Refusal("NO_ROUTE") from problem
        except Refusal as refusal:
            return Result(uuid4(), None, refusal), EntryOutcome(uuid4(), refusal=refusal), weakref.ref(large)

    gc.disable()
    try:
        # when
        result, outcome, ghost = refused()
        # then
        assert ghost() is None
        assert (result.answer.code, outcome.refusal.code) == ("NO_ROUTE", "NO_ROUTE")
    finally:
        gc.enable()
