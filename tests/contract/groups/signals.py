"""Signals (reference 2.9) and what the agents made of them."""

from signals import fanout
from tests.contract.cases import Case
from tests.contract.world import World, value

NEW = {
    "tokenAddress": "{mint}",
    "symbol": "BONK",
    "signalType": "Breakout",
    "activationReason": "Above the day's high",
    "signalStrength": 5,
    "source": "desk",
}


@value("poorId")
def _poor(world: World) -> str:
    """An agent without funds."""
    return str(world.post("/agents", {"name": "Poor", "profile": "ideal"})["id"])


def answered(world: World) -> None:
    """Every agent has made its verdict, and one has bought."""
    world.tick()
    fanout.drain()


CHANGE = {"signalStrength": 1}
POST, LIST, ONE = "POST /trading-signals", "GET /trading-signals", "/trading-signals/:signalId"
WRONG = (
    ("tokenAddress", "not base58"),
    ("tokenAddress", ""),
    ("signalType", "x" * 51),
    ("signalStrength", 6),
    ("signalStrength", 2.5),
    ("symbol", "x" * 51),
    ("source", "x" * 101),
    ("side", "hold"),
    ("dryRun", "yes"),
)

CASES = [
    Case(POST, 201, body=NEW),
    Case(POST, 201, "of a key", body=NEW, who="key:signals", golden=False),
    Case(POST, 201, "with full access", body=NEW, who="key:full_access", golden=False),
    Case(POST, 201, "everything", body={**NEW, "side": "sell", "externalRef": "tv-1", "dryRun": True}),
    *(
        Case(POST, 400, f"{name} {wrong}"[:30].strip(), body={**NEW, name: wrong}, fields=(name,))
        for name, wrong in WRONG
    ),
    Case(POST, 400, "SELL without a side", body={**NEW, "signalType": "sell"}, code="SIDE_REQUIRED"),
    Case(POST, 400, "no JSON", body=b"{", code="VALIDATION_ERROR"),
    Case(POST, 403, "by a viewer", body=NEW, who="viewer", code="AUTHORIZATION_ERROR"),
    Case(POST, 409, "again within a minute", body=NEW, first=(Case(POST, 201, body=NEW),), code="SIGNAL_DUPLICATE"),
    Case(
        POST,
        422,
        "the key of another body",
        body=NEW,
        headers={"Idempotency-Key": "one"},
        first=(Case(POST, 201, body={**NEW, "signalStrength": 1}, headers={"Idempotency-Key": "one"}),),
        code="IDEMPOTENCY_KEY_REUSED",
    ),
    Case(POST, 429, body={}, repeat=121, code="RATE_LIMITED"),
    Case(LIST, 200, uses=("signalId",)),
    Case(
        LIST,
        200,
        "with every filter",
        query={
            "tokenAddress": "{mint}",
            "signalType": "Momentum",
            "startDate": "2020-01-01",
            "endDate": "2099-01-01T00:00:00Z",
            "limit": 1,
            "offset": 0,
        },
        uses=("signalId",),
    ),
    *(
        Case(LIST, 400, name, query={name: wrong}, fields=(name,))
        for name, wrong in (("startDate", "x"), ("endDate", "x"), ("limit", 0), ("offset", "x"))
    ),
    Case(f"GET {ONE}", 200),
    Case(f"PUT {ONE}", 200, body={"signalStrength": 1, "activationReason": None}),
    Case(f"PUT {ONE}", 400, "strength", body={"signalStrength": 9}, fields=("signalStrength",)),
    Case(f"DELETE {ONE}", 204),
    *(
        Case(f"{method} {ONE}", 400, "no integer", path={"signalId": "all"}, body=CHANGE, fields=("id",))
        for method in ("GET", "PUT", "DELETE")
    ),
    *(
        Case(f"{method} {ONE}", 404, path={"signalId": 9_999_999}, body=CHANGE, code="SIGNAL_NOT_FOUND")
        for method in ("GET", "PUT", "DELETE")
    ),
    Case(
        f"GET {ONE}",
        404,
        "after it was deleted",
        first=(Case(f"DELETE {ONE}", 204),),
        code="SIGNAL_NOT_FOUND",
    ),
    Case(f"GET {ONE}/executions", 200, uses=("signalId",)),
    Case(
        f"GET {ONE}/executions",
        200,
        "bought and skipped",
        uses=("transactionId", "poorId", "signalId"),
        given=answered,
        committed=True,
    ),
    Case(f"GET {ONE}/executions", 400, path={"signalId": "x"}, fields=("id",)),
    Case(f"GET {ONE}/executions", 404, path={"signalId": 9_999_999}, code="SIGNAL_NOT_FOUND"),
]
