"""A made-up market: tokens that pump, bleed, gap, go sideways, dip, and rug.

For the demo it is a live feed; for replays and tests it is a tape. Prices are jump-diffusion in integers and decimals:
the random numbers are 32-bit integers of a seeded generator, sums of them stand for the bell curve, and every price is
rounded to 12 significant digits, so that the same seed gives the same market on every machine.
"""

import hashlib
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal

from nexgent import clock, money
from prices.feeds.protocol import Answer, TokenFacts
from prices.mints import mint_of
from prices.records import Lane, PriceTick

SOURCE = "synthetic"
SOL_USD = Decimal(150)
TOKEN_PROGRAM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"  # noqa: S105  (the program's address)
STEP_SECONDS = 5
TAPE_START = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
STEPS_PER_CALL_MAX = 720
HEAD_START_STEPS, STAGGER_STEPS = 900, 210
"""A market under way: its first token is so far into its life, each further one so much further than the one before,
so that at any time some rise, some fall, and some stand still."""
_DIGITS = Context(prec=12, rounding=ROUND_HALF_EVEN)
_FLOOR, _CEILING = Decimal("1e-12"), Decimal(10)
_LIFE_START = Decimal("0.00001")
_LOW, _HIGH = Decimal("1e-8"), Decimal("0.01")
"""Below the one a cycle has no rug, above the other no moon: prices stay within reach for ever."""


@dataclass(frozen=True, slots=True)
class Regime:
    """A stretch of market: how long, where the price goes in it (a factor over the whole), how much it shakes."""

    name: str
    steps: tuple[int, int]
    factor_percent: tuple[int, int]
    """Lowest and highest price at its end, in per cent of the price at its start."""
    shake_bps: int
    """Size of one step's noise in basis points."""
    is_jump: bool = False
    """All at once in its first step, or spread over its steps."""


# One cycle holds each of them once, in a drawn order that begins with a calm and ends with the rug.
PUMP = Regime("pump", (60, 240), (180, 420), 120)
MOON = Regime("moon", (240, 480), (700, 1300), 90)
BLEED = Regime("bleed", (240, 600), (45, 75), 60)
GAP = Regime("gap", (6, 12), (40, 78), 40, is_jump=True)
CALM = Regime("calm", (780, 900), (103, 106), 12)
DIP = Regime("dip", (60, 120), (72, 88), 30)
REBOUND = Regime("rebound", (90, 180), (125, 160), 50)
RUG = Regime("rug", (3, 6), (3, 12), 200, is_jump=True)
_MIDDLE = (PUMP, MOON, BLEED, GAP, DIP, REBOUND)

_NAMES = (
    "Moss",
    "Comet",
    "Otter",
    "Pixel",
    "Lantern",
    "Cobalt",
    "Fjord",
    "Ember",
    "Walnut",
    "Quasar",
    "Tundra",
    "Biscuit",
)


class Path:
    """The price of one token, step by step."""

    def __init__(self, seed: str, *, start: Decimal = _LIFE_START) -> None:
        self._random = random.Random(seed)  # noqa: S311  (a market, not a secret)
        self.price = start
        self._plan: list[Regime] = []
        self._regime = CALM
        self._left = 0
        self._factor = Decimal(1)

    def step(self) -> Decimal:
        """The next price."""
        is_first = self._left == 0
        if is_first:
            self._next_regime()
        regime = self._regime
        factor = self._factor if is_first or not regime.is_jump else Decimal(1)
        noise = _DIGITS.divide(Decimal(self._bell() * regime.shake_bps), Decimal(10_000 * 4096))
        moved = _DIGITS.multiply(_DIGITS.multiply(self.price, factor), _DIGITS.add(Decimal(1), noise))
        self.price = min(max(moved, _FLOOR), _CEILING)
        self._left -= 1
        return self.price

    def _next_regime(self) -> None:
        if not self._plan:
            middle = list(_MIDDLE)
            for i in range(len(middle) - 1, 0, -1):
                j = self._below(i + 1)
                middle[i], middle[j] = middle[j], middle[i]
            if self.price > _HIGH:
                middle.remove(MOON)  # what has risen for long comes down in this cycle
            self._plan = [CALM, *middle, RUG] if self.price > _LOW else [CALM, *middle]
        self._regime = self._plan.pop(0)
        self._left = self._between(self._regime.steps)
        total = Decimal(self._between(self._regime.factor_percent)) / 100
        self._factor = total if self._regime.is_jump else root(total, self._left)

    def _bell(self) -> int:
        """Nearly normal, mean 0, within about four deviations; deviation 4096 / 1.15."""
        return sum(self._random.getrandbits(13) for _ in range(3)) - 3 * 4096

    def _below(self, bound: int) -> int:
        return self._random.getrandbits(32) * bound >> 32

    def _between(self, bounds: tuple[int, int]) -> int:
        return bounds[0] + self._below(bounds[1] - bounds[0] + 1)


def root(value: Decimal, degree: int) -> Decimal:
    """The `degree`-th root, rounded to 12 digits: Newton in decimals, the same on every machine."""
    context = Context(prec=40, rounding=ROUND_HALF_EVEN)
    guess = context.add(Decimal(1), context.divide(context.subtract(value, Decimal(1)), Decimal(degree)))
    guess = max(guess, Decimal("0.5"))
    for _ in range(60):
        power = context.power(guess, degree - 1) if degree > 1 else Decimal(1)
        change = context.divide(context.subtract(context.multiply(power, guess), value), power * degree)
        guess = context.subtract(guess, change)
        if abs(change) < Decimal("1e-20"):
            break
    return _DIGITS.plus(guess)


def mint(seed: int, number: int = 0) -> str:
    """The address of a made-up token."""
    return mint_of(hashlib.sha256(f"nexgent synthetic {seed} {number}".encode()).digest())


def tape(
    seed: int, *, steps: int = 20_000, number: int = 0, start: datetime = TAPE_START, step_seconds: int = STEP_SECONDS
) -> Iterator[PriceTick]:
    """A tape of one token: `steps` ticks, `step_seconds` apart. One cycle of all regimes takes about 2,500 steps."""
    path, address = Path(f"tape {seed} {number}"), mint(seed, number)
    for step in range(steps):
        yield PriceTick(address, path.step(), start + timedelta(seconds=step * step_seconds), SOURCE)


class SyntheticFeed:
    """The made-up market as a live feed: each call brings every token up to the present, in steps of one second."""

    name = SOURCE
    batch_max = 500
    is_confirmed = False

    def __init__(
        self, *, seed: int, count: int = len(_NAMES), step_seconds: int = 1, is_under_way: bool = False
    ) -> None:
        self.seed = seed
        self._step = timedelta(seconds=step_seconds)
        self._lock = threading.Lock()
        self._paths = {mint(seed, number): Path(f"live {seed} {number}") for number in range(count)}
        self._at: datetime | None = None
        self._past: dict[str, list[Decimal]] = {}
        if is_under_way:
            for number, (address, path) in enumerate(self._paths.items()):
                lived = [path.step() for _ in range(HEAD_START_STEPS + number * STAGGER_STEPS)]
                self._past[address] = lived[-HEAD_START_STEPS:]

    def resume(self, known: Mapping[str, Decimal]) -> None:
        """Continue from the last known prices after a restart."""
        for address, path in self._paths.items():
            if address in known:
                path.price = known[address]

    def past(self, *, until: datetime, every_steps: int) -> list[PriceTick]:
        """What led to the prices a market under way began with, one tick in `every_steps`, the last one at `until`."""
        return [
            PriceTick(
                address,
                price,
                until - back * self._step,
                SOURCE,
                price_usd=_DIGITS.multiply(price, SOL_USD),
                liquidity_usd=self._liquidity(address),
            )
            for address, lived in self._past.items()
            for back, price in ((len(lived) - 1 - place, price) for place, price in enumerate(lived))
            if back % every_steps == 0
        ]

    def spend(self, lane: Lane) -> None:
        """Nothing to spend: nobody is asked."""

    def prices(self, mints: Sequence[str], *, lane: Lane) -> Answer:
        """Prices of this market's tokens at the present; others are not answered."""
        now = clock.now()
        with self._lock:
            self._advance(now)
            ticks = tuple(self._tick(address, now) for address in mints if address in self._paths)
        return Answer(ticks, {}, PriceTick(money.SOL_MINT, Decimal(1), now, SOURCE, price_usd=SOL_USD))

    def tokens(self, mints: Sequence[str]) -> list[TokenFacts]:
        """Name, decimals and facts of this market's tokens."""
        numbers = {address: number for number, address in enumerate(self._paths)}
        return [self._facts(address, numbers[address]) for address in mints if address in numbers]

    def mints(self) -> Sequence[str]:
        return tuple(self._paths)

    def close(self) -> None:
        """Nothing is open."""

    def _advance(self, now: datetime) -> None:
        if self._at is None:
            self._at = now
        steps = min((now - self._at) // self._step, STEPS_PER_CALL_MAX)
        self._at = max(self._at + steps * self._step, now - self._step)
        for path in self._paths.values():
            for _ in range(steps):
                path.step()

    def _tick(self, address: str, now: datetime) -> PriceTick:
        price = self._paths[address].price
        return PriceTick(
            address,
            price,
            now,
            SOURCE,
            price_usd=_DIGITS.multiply(price, SOL_USD),
            liquidity_usd=self._liquidity(address),
        )

    def _liquidity(self, address: str) -> Decimal:
        digest = hashlib.sha256(f"{self.seed} {address}".encode()).digest()
        return Decimal(60_000 + int.from_bytes(digest[:4], "big") % 440_000)

    def _facts(self, address: str, number: int) -> TokenFacts:
        name = _NAMES[number % len(_NAMES)]
        return TokenFacts(
            mint=address,
            symbol=name.upper()[:6] + ("" if number < len(_NAMES) else str(number // len(_NAMES))),
            name=f"{name} (demo)",
            decimals=6,
            program=TOKEN_PROGRAM,
            facts={
                "marketCapUsd": money.text(self._liquidity(address) * 8),
                "liquidityUsd": money.text(self._liquidity(address)),
                "holderCount": 400 + number * 137,
                "mintAuthorityDisabled": True,
                "freezeAuthorityDisabled": True,
                "isFlagged": False,
                "createdAt": (TAPE_START + timedelta(days=number)).isoformat(),
            },
        )
