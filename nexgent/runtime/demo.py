"""What `manage.py demo` prepares: the market it runs on, and agents of different strategies that trade by themselves.

The market is the live one when its feed answers within five seconds, else a made-up one that is labelled as such
wherever its prices are shown. Agents live in the administrator's workspace; a second start finds them and adds nothing.
The processes read both from a file that the settings know (`settings.DEMO_MARKET`, `DEMO_WORKSPACE_ID`).
"""

import json
import threading
from uuid import UUID

from django.conf import settings
from django.db import transaction

from agents import services as agents
from agents.models import Agent, Assignment, ConfigVersion
from nexgent import clock, money
from nexgent.accounts.models import Membership, Role
from nexgent.errors import NexgentError
from nexgent.runtime.strategies import STRATEGIES, Strategy
from nexgent.runtime.supervisor import stdout_say
from prices import services as prices
from prices import storage
from prices.feeds import registry
from prices.feeds.protocol import FeedFailure
from prices.feeds.synthetic import SyntheticFeed
from prices.models import LatestPrice
from prices.records import Lane
from trading.performance import snapshots
from wallets import services as wallets

LIVE, SYNTHETIC = "live", "synthetic"
FILE = "demo.json"
PATIENCE_SECONDS = 5.0
AUTHOR = "demo"
"""Author of a demo agent's first configuration, followed by its strategy: what a second start knows it by."""
PAST_EVERY_STEPS = 5


def prepare() -> None:
    """Choose the market, make the agents, tell the processes. Called when the database is ready, before they start."""
    market = choose_market()
    owner = _owner()
    tell(market=market, workspace_id=owner.workspace_id)
    if market == SYNTHETIC:
        begin_synthetic()
        stdout_say("Demo on a MADE-UP market: the live feed does not answer. Every price is of source 'synthetic'.")
    else:
        begin_live()
        stdout_say(f"Demo on the live market ({settings.JUPITER_API_URL}); the money is simulated.")
    made = make_agents(workspace_id=owner.workspace_id, user_id=owner.user_id)
    snapshots.capture()
    stdout_say(f"{len(made)} demo agents made." if made else "The demo agents are there already.")


def tell(*, market: str, workspace_id: UUID) -> None:
    """Keep for the processes that start next, and for this one, what was found out."""
    file = settings.DATA_DIR / FILE
    file.write_text(json.dumps({"market": market, "workspace": str(workspace_id)}))
    settings.DEMO_MARKET, settings.DEMO_WORKSPACE_ID = market, str(workspace_id)
    if market == SYNTHETIC:
        settings.PRICE_FEEDS = (SYNTHETIC,)
    registry.forget()


def choose_market() -> str:
    """LIVE when the live feed has a price of SOL within five seconds, SYNTHETIC when it has not."""
    answered = threading.Event()

    def ask() -> None:
        feed = registry.jupiter()
        try:
            feed.prices([], lane=Lane.BACKGROUND)
        except FeedFailure:
            return
        finally:
            feed.close()
        answered.set()

    # A thread, because looking up a host name obeys no time-out; one that hangs ends with the process.
    asker = threading.Thread(target=ask, name="demo-market", daemon=True)
    asker.start()
    asker.join(PATIENCE_SECONDS)
    return LIVE if answered.is_set() else SYNTHETIC


def begin_live() -> int:
    """Have the well-known tokens described before their prices are polled, which leaves a keyless budget no call to
    spare; number of tokens described."""
    storage.ensure_rows(settings.DEMO_TOKENS)
    return prices.describe(settings.DEMO_TOKENS)


def begin_synthetic() -> int:
    """Tokens and the last minutes of a made-up market that has none yet, so that it trades at once; number of ticks.

    A market that has prices goes on from them.
    """
    feed = registry.synthetic()
    assert isinstance(feed, SyntheticFeed)
    mints = feed.mints()
    if LatestPrice.objects.filter(token__in=mints).exists():
        return 0
    now = clock.now()
    past = feed.past(until=now, every_steps=PAST_EVERY_STEPS)
    storage.ensure_rows(list(mints))
    storage.describe(feed.tokens(mints), at=now)
    prices.publish(past)
    prices.flush()
    return len(past)


def make_agents(*, workspace_id: UUID, user_id: UUID) -> list[Agent]:
    """The demo agents that the workspace does not have yet, each with its SOL; returns the new ones.

    Renamed, changed and archived ones are known by the author of their first configuration and left alone.
    """
    known = set(
        ConfigVersion.objects.filter(number=1, agent__workspace_id=workspace_id).values_list("author", flat=True)
    )
    return [
        _make(strategy, workspace_id=workspace_id, user_id=user_id)
        for strategy in STRATEGIES
        if _author(strategy) not in known
    ]


@transaction.atomic
def _make(strategy: Strategy, *, workspace_id: UUID, user_id: UUID) -> Agent:
    agent = agents.agent_create(
        workspace_id=workspace_id,
        user_id=user_id,
        name=strategy.name,
        config=strategy.config,
        author=_author(strategy),
    )
    wallet_id = Assignment.objects.values_list("wallet_id", flat=True).get(agent=agent)
    wallets.deposit(wallet_id=wallet_id, lamports=money.lamports(strategy.sol), author=AUTHOR)
    return agent


def _author(strategy: Strategy) -> str:
    return f"{AUTHOR}: {strategy.key}"


def _owner() -> Membership:
    """The first administrator's place in his workspace. Raises NexgentError when there is none."""
    found = (
        Membership.objects.filter(role=Role.OWNER, user__is_superuser=True, user__is_active=True)
        .order_by("user__created_at", "id")
        .first()
    )
    if found is None:
        raise NexgentError("The demo needs an administrator: manage.py create_admin makes one.")
    return found
