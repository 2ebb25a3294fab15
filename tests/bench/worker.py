"""`python -m tests.bench.worker WORDS...`: the prices process of the soak: the product's own, fed by the made-up market
with as many tokens as asked and as fast as asked (`SOAK_TOKENS`, `SOAK_STEPS` a second, `SYNTHETIC_SEED`). In a control
it leaks (`damage.py`).
"""

import os
import random
import sys
from collections.abc import Sequence
from datetime import timedelta

import django

from tests.bench import damage

HEAD_START_STEPS = 2_500
"""About one cycle of all regimes: each token starts somewhere in it."""


def feed() -> None:
    """Make the fast market the only feed of this process."""
    from django.conf import settings

    from prices import services as prices
    from prices.feeds import registry
    from prices.feeds.synthetic import SyntheticFeed

    count, steps = int(os.environ["SOAK_TOKENS"]), int(os.environ["SOAK_STEPS"])

    class FastFeed(SyntheticFeed):
        """The made-up market, several steps a second, under way from the beginning."""

        def __init__(self) -> None:
            super().__init__(seed=settings.SYNTHETIC_SEED, count=count)
            self._step = timedelta(seconds=1) / steps
            chance = random.Random(settings.SYNTHETIC_SEED)
            for path in self._paths.values():
                for _ in range(chance.randrange(HEAD_START_STEPS)):
                    path.step()

    registry.FEEDS["synthetic"] = FastFeed
    settings.PRICE_FEEDS = ("synthetic",)
    mints = FastFeed.mints
    known: list[str] = []

    def all_tokens() -> Sequence[str]:
        if not known:
            known.extend(mints(registry.shared()[0]))  # type: ignore[arg-type]
        return known

    prices.register_held(all_tokens, lane="background")


def main(words: list[str]) -> None:
    django.setup()
    feed()
    damage.begin()
    sys.argv = ["celery", *words]
    from celery.__main__ import main as celery

    celery()


if __name__ == "__main__":
    main(sys.argv[1:])
