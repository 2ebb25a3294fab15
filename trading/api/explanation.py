"""Why an order exists and what came of it, in sentences made of the facts that stand on the order itself."""

from typing import Any

from nexgent import money
from trading.models import Fill, Order, Purpose, Side, State

REASONS = {
    "stop_reached": "the price reached the stop",
    "level_reached": "the price reached the ladder",
    "held_too_long": "the position was held too long without moving",
}


def decision_wire(order: Order) -> dict[str, Any]:
    """What was decided and what it rests on: the rule's reason, the tick, the extremes, the parts of a split exit."""
    plan, is_buy = order.plan, order.side == Side.BUY
    whole = plan.get("exitUnits")
    wanted = plan.get("wantedLamports")
    bag = plan.get("moonBagUnits")
    decimals = order.token.decimals
    return {
        "reason": plan.get("reason"),
        "isFull": None if is_buy else plan.get("isFull"),
        "levels": plan.get("levels"),
        "dcaLevel": plan.get("level") if is_buy else None,
        "part": plan.get("part"),
        "exitAmount": None if whole is None else money.text(money.tokens(whole, decimals)),
        "wantedAmount": None if wanted is None else money.text(money.sol(wanted)),
        "moonBagAmount": None if bag is None else money.text(money.tokens(bag, decimals)),
        "peakPrice": None if order.peak is None else money.text(order.peak),
        "stopPercent": None if order.stop_percent is None else money.text(order.stop_percent),
        "signalType": order.signal_type or None,
        "profile": order.profile,
        "ordinal": order.ordinal,
    }


def explanation(order: Order, fill: Fill | None) -> str:
    """Two sentences: why the order was planned, and how it ended or where it stands."""
    return f"{_cause(order)} {_outcome(order, fill)}"


def _cause(order: Order) -> str:
    at = "" if order.price is None else f" at {money.text(order.price)} SOL ({order.price_source or 'unknown'})"
    purpose = Purpose(order.purpose)
    if purpose is Purpose.ENTRY and order.signal_id is not None:
        kind = f" ({order.signal_type})" if order.signal_type else ""
        return f"Signal {order.signal_id}{kind} led to an entry{at}."
    if purpose is Purpose.ENTRY:
        return f"A person asked to buy{at}."
    if purpose is Purpose.MANUAL:
        return f"A person asked to sell{at}."
    if purpose is Purpose.SIGNAL:
        return f"Signal {order.signal_id} said sell{at}."
    if purpose is Purpose.TAPE_END:
        return f"The tape ended{at}."
    if purpose is Purpose.DCA:
        return f"DCA level {order.plan.get('level')} was reached{at}."
    reason = REASONS.get(str(order.plan.get("reason")), str(order.plan.get("reason")))
    if purpose is Purpose.STOP_LOSS and order.stop_percent is not None and order.peak is not None:
        stop, peak = money.text(order.stop_percent), money.text(order.peak)
        return f"Stop loss: {reason}{at}; the stop stood at {stop} %, the peak was {peak} SOL."
    if purpose is Purpose.TAKE_PROFIT and order.plan.get("levels"):
        return f"Take profit: {reason}{at}, levels taken: {order.plan['levels']}."
    return f"{purpose.label.replace('_', ' ').capitalize()}: {reason}{at}."


def _outcome(order: Order, fill: Fill | None) -> str:
    state = State(order.state)
    if fill is not None:
        decimals = order.token.decimals
        symbol = order.token.symbol or "tokens"
        if order.side == Side.BUY:
            lamports, units = fill.amount_in, fill.amount_out
            return f"Bought {money.text(money.tokens(units, decimals))} {symbol} for {_sol(lamports)}."
        units, lamports = fill.amount_in, fill.amount_out
        return f"Sold {money.text(money.tokens(units, decimals))} {symbol} for {_sol(lamports)}."
    if state in (State.FAILED, State.CANCELLED):
        detail = order.error_detail.get("message") if isinstance(order.error_detail, dict) else None
        code = order.error_code.replace("_", " ").lower()
        return f"It {'failed' if state is State.FAILED else 'was cancelled'}: {detail or code or 'no reason given'}"
    if order.not_before is not None:
        return f"It is {state.label} and waits until {order.not_before:%H:%M:%S} UTC."
    return f"It is {state.label}."


def _sol(lamports: int) -> str:
    return f"{money.text(money.sol(lamports))} SOL"
