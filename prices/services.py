"""Use cases that write prices: publish, watch, make tokens, start and stop the feeds.

`publish` is the port between feeds and engine: the sinks of this process get the batch first and synchronously, all
input and output comes after it, on the writer's thread.
"""

import logging
from collections.abc import Callable, Iterable, Sequence

from django.conf import settings

from nexgent.errors import Refusal
from prices import storage
from prices.mints import is_mint
from prices.models import Token
from prices.records import Lane, PriceTick
from prices.watchlist import Held, Watchlist
from prices.writer import Mode, Writer

log = logging.getLogger(__name__)

Sink = Callable[[Sequence[PriceTick]], None]

_sinks: list[Sink] = []
_writer = Writer(Mode(settings.PRICES_WRITER))
watchlist = Watchlist()


def publish(batch: Sequence[PriceTick]) -> None:
    """Hand a batch to the sinks of this process, then store it; the newest price by `observed_at` wins.

    A sink that raises is logged and alarmed, and never keeps the batch from the others.
    """
    if not batch:
        return
    for sink in tuple(_sinks):
        try:
            sink(batch)
        except Exception:
            log.exception("a sink of prices failed on %d ticks: %r", len(batch), sink)
    _writer.add(batch)


def register_sink(sink: Sink) -> None:
    """Have `sink` called with each batch before anything is stored; once, however often it is registered."""
    if sink not in _sinks:
        _sinks.append(sink)


def unregister_sink(sink: Sink) -> None:
    """The opposite of `register_sink`; a sink that is not registered is no error."""
    if sink in _sinks:
        _sinks.remove(sink)


def write_prices(mode: Mode | str) -> None:
    """Choose where prices are stored: "thread" (default), "inline" (in the caller), "off" (nowhere)."""
    _writer.mode = Mode(mode)


def flush() -> None:
    """Store what is queued, now and in this thread (tests, replays, shutdown)."""
    _writer.flush()


def watch(mints: Iterable[str], lane: Lane | str = Lane.POSITIONS) -> None:
    """Have `mints` polled for the next 15 minutes; lanes: live, positions, signals, background."""
    watchlist.watch(mints, Lane(lane))


def register_held(held: Held, *, lane: Lane | str = Lane.POSITIONS) -> None:
    """Have the poller ask `held()` each round for the mints with open positions."""
    watchlist.register_held(held, lane=Lane(lane))


def ensure_token(mint: str, symbol: str = "") -> Token:
    """The token of `mint`, made if there is none; `symbol` fills an empty one.

    Raises Refusal INVALID_TOKEN for what is not base58 of 32 bytes.
    """
    if not is_mint(mint):
        raise Refusal("INVALID_TOKEN", "A token address is base58 of 32 bytes.", details={"token": mint})
    storage.ensure_rows([mint])
    if symbol:
        Token.objects.filter(mint=mint, symbol="").update(symbol=symbol[: Token._meta.get_field("symbol").max_length])
    return Token.objects.get(mint=mint)
