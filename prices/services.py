"""Use cases that write prices: publish, watch, make tokens, start and stop the feeds.

`publish` is the port between feeds and engine: the sinks of this process get the batch first and synchronously, all
input and output comes after it, on the writer's thread.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta

from django.conf import settings
from django.db import connection

from nexgent import clock
from nexgent.errors import Refusal
from nexgent.events import bell
from prices import selectors, storage
from prices.feeds import registry
from prices.feeds.chain import Chain
from prices.feeds.protocol import Describer, Feed, FeedFailure
from prices.feeds.synthetic import SyntheticFeed
from prices.mints import is_mint
from prices.models import Token
from prices.poller import Poller
from prices.records import ENTRY_MAX_AGE, Lane, PriceTick
from prices.station import Station
from prices.watchlist import Held, Watchlist
from prices.writer import Mode, Writer

log = logging.getLogger(__name__)

Sink = Callable[[Sequence[PriceTick]], None]

_sinks: list[Sink] = []
FACTS_MAX_AGE = timedelta(minutes=10)
TOKENS_PER_CALL = 100
PATIENCE_SECONDS = 1.0
"""So long somebody who waits for an answer waits for the feeds."""
SYMBOL_MAX = 50

_writer = Writer(Mode(settings.PRICES_WRITER))
_station: Station | None = None
_idle_poller: Poller | None = None
_threads = ThreadPoolExecutor(4, thread_name_prefix="prices-ask")
_starting = threading.Lock()
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
            _writer.note("PRICE_SINK_FAILED", getattr(sink, "__qualname__", "sink")[:120], {"ticks": len(batch)})
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


def unregister_held(held: Held) -> None:
    """The opposite of `register_held`."""
    watchlist.unregister_held(held)


def ensure_token(mint: str, symbol: str = "") -> Token:
    """The token of `mint`, made if there is none; `symbol` fills an empty one.

    The token is also watched (lane signals), and one that no source has described yet is asked about: at once and for
    at most a second outside a transaction, after the commit inside one (nothing waits for the network under a lock).
    Raises Refusal INVALID_TOKEN for what is not base58 of 32 bytes.
    """
    if not is_mint(mint):
        raise Refusal("INVALID_TOKEN", "A token address is base58 of 32 bytes.", details={"token": mint})
    storage.ensure_rows([mint])
    if symbol:
        Token.objects.filter(mint=mint, symbol="").update(symbol=symbol[:SYMBOL_MAX])
    token = Token.objects.get(mint=mint)
    watch([mint], Lane.SIGNALS)
    if token.facts_at is not None or not settings.PRICE_FEEDS:
        return token
    if connection.in_atomic_block:
        bell.task("prices.tasks.describe", queue="prices")
        return token
    if _within(PATIENCE_SECONDS, lambda: describe([mint])):
        token.refresh_from_db()
    return token


def refresh(
    mints: Sequence[str], *, max_age: timedelta = ENTRY_MAX_AGE, wait_seconds: float = PATIENCE_SECONDS
) -> dict[str, PriceTick]:
    """The latest prices of `mints`; those missing or older than `max_age` are asked of the feeds first.

    For whoever is about to decide on a token that nobody polled so far. Waits at most `wait_seconds`; a feed that does
    not answer in time leaves the price as old as it is. Never call it inside a transaction.
    """
    known, now = selectors.latest(mints), clock.now()
    wanted = [mint for mint in mints if not selectors.is_fresh(known.get(mint), now=now, max_age=max_age)]
    if not wanted or not settings.PRICE_FEEDS:
        return known
    _within(wait_seconds, lambda: _asker().ask(wanted, Lane.SIGNALS))
    if _writer.mode is Mode.THREAD:
        flush()
    return selectors.latest(mints)


def describe(mints: Sequence[str], *, max_age: timedelta = FACTS_MAX_AGE) -> int:
    """Ask the feeds about tokens whose facts are missing or older than `max_age`; returns how many were told.

    A feed that does not answer is no error: facts stay as they were, with their age. Never call it inside a
    transaction. Decimals are taken over once only: amounts that exist are in the decimals they were made with.
    """
    due = Token.objects.filter(mint__in=list(mints)).exclude(facts_at__gt=clock.now() - max_age)
    wanted, told = list(due.values_list("mint", flat=True)), 0
    sources: list[Describer] = [*_feeds(), *_chains()]
    for source in sources:
        described: set[str] = set()
        for at in range(0, len(wanted), TOKENS_PER_CALL):
            try:
                answers = source.tokens(wanted[at : at + TOKENS_PER_CALL])
            except FeedFailure as failure:
                log.info("%d tokens stay undescribed: %s", len(wanted), failure)
                break
            told += storage.describe(answers, at=clock.now())
            described |= {token.mint for token in answers}
        wanted = [mint for mint in wanted if mint not in described]
    return told


def describe_watched() -> int:
    """Ask about the newest tokens that nobody has described yet, and again about watched ones."""
    unknown = Token.objects.filter(facts_at=None).order_by("-created_at").values_list("mint", flat=True)
    return describe([*unknown[:TOKENS_PER_CALL], *watchlist.lanes()])


def start_feeds() -> Station:
    """Start the feeds of this process (once); the caller is the process that holds the engine role."""
    global _station
    with _starting:
        if _station is None:
            feeds = registry.configured()
            for feed in feeds:
                _take_over(feed)
            poller = Poller(feeds, lanes=watchlist.lanes, publish=publish, alarm=_writer.note)
            has_outside = any(not isinstance(feed, SyntheticFeed) for feed in feeds)
            pyth = registry.pyth() if has_outside else None
            _station = Station(poller, pyth=pyth, pace_seconds=registry.pace_seconds())
            _station.start()
        return _station


def stop_feeds() -> None:
    """Stop the feeds of this process and store what is queued; nothing happens when none run."""
    global _station
    with _starting:
        station, _station = _station, None
    if station is not None:
        station.stop()
        _writer.flush()


def poll() -> bool:
    """One round of polling where the feeds run; False where they do not, or while a round is running."""
    station = _station
    return station is not None and station.ring()


def _feeds() -> list[Feed]:
    return _station.poller.feeds if _station is not None else registry.shared()


def _chains() -> list[Chain]:
    """The chain's word counts where real tokens are traded; a made-up market's are not on it."""
    is_real = any(not isinstance(feed, SyntheticFeed) for feed in _feeds())
    return [registry.chain()] if is_real and settings.SOLANA_RPC_URLS else []


def _asker() -> Poller:
    """The poller to ask out of turn: the one that runs here, else one that polls nothing by itself."""
    global _idle_poller
    if _station is not None:
        return _station.poller
    with _starting:
        if _idle_poller is None or _idle_poller.feeds != registry.shared():
            _idle_poller = Poller(registry.shared(), lanes=dict, publish=publish, alarm=_writer.note)
        return _idle_poller


def _within(seconds: float, work: Callable[[], object]) -> bool:
    """Do `work` in a thread of its own and wait for it so long; False when it is not done by then, it goes on.

    Looking up a host name obeys no time-out, so that even a call with a deadline may take longer than it says.
    """

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    done, _ = wait([_threads.submit(run)], timeout=seconds)
    for future in done:
        future.result()
    return bool(done)


def _take_over(feed: Feed) -> None:
    """A feed with tokens of its own: make and describe them, and go on from their last prices."""
    offered = list(feed.mints())
    if not offered:
        return
    storage.ensure_rows(offered)
    storage.describe(feed.tokens(offered), at=clock.now())
    if isinstance(feed, SyntheticFeed):
        feed.resume({mint: tick.price_sol for mint, tick in selectors.latest(offered).items()})
