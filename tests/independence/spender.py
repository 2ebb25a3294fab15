"""`python -m tests.independence.spender URL PROVIDER LANE MOST`: once told to, a process calls a provider until
it may not.

Prints how many calls were answered, and `done` or the code of the refusal. Of 40 calls a minute ten may go at once.
"""

import os
import sys

import django


def main(url: str, name: str, lane: str, most: str) -> str:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexgent.settings")
    django.setup()
    from nexgent.money import SOL_MINT
    from prices.budget import Budget
    from prices.feeds.protocol import FeedFailure
    from prices.feeds.provider import Provider
    from prices.records import Lane

    provider = Provider(name, url=url, budget=Budget(name, 40))
    sys.stdin.readline()
    for answered in range(int(most)):
        try:
            provider.get("/price/v3", lane=Lane(lane), params={"ids": SOL_MINT})
        except FeedFailure as failure:
            return f"{answered} {failure.code}"
    return f"{most} done"


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
