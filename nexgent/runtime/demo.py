"""What `manage.py demo` prepares: the market it runs on, and agents of different strategies that trade it by themselves.

The market is the live one when its feed answers within five seconds, else a made-up one that is labelled as such
wherever its prices are shown. Agents live in the administrator's workspace; a second start finds them and adds nothing.
The processes learn of both through the environment, which the supervisor hands on.
"""

import os
import time
from datetime import timedelta

import httpx
from django.conf import settings
from django.db import transaction

from agents import services as agents
from agents.models import Agent, Assignment, ConfigVersion
from nexgent import clock, money
from nexgent.accounts.models import Membership, Role
from nexgent.runtime.strategies import STRATEGIES, Strategy
from nexgent.runtime.supervisor import stdout_say
from prices import services as prices
from prices.feeds import registry
from prices.feeds.jupiter import parse_prices
from prices.feeds.protocol import FeedFailure
from prices.feeds.synthetic import SyntheticFeed
from prices.models import LatestPrice
from trading.performance import snapshots
from wallets import services as wallets

LIVE, SYNTHETIC = "live", "synthetic"
PATIENCE_SECONDS = 5.0
AUTHOR = "demo"
PAST_EVERY_STEPS = 5


def prepare() -> None:
    """Choose the market, make the agents, tell the processes. Called when the database is ready, before they start."""
    market = choose_market()
    workspace_id = _workspace_id()
    os.environ["NEXGENT_DEMO_MARKET"] = settings.DEMO_MARKET = market
    os.environ["NEXGENT_DEMO_WORKSPACE"] = settings.DEMO_WORKSPACE_ID = str(workspace_id)
    if market == SYNTHETIC:
        os.environ["PRICE_FEEDS"] = SYNTHETIC
        settings.PRICE_FEEDS = (SYNTHETIC,)
        registry.forget()
        begin_synthetic()
        stdout_say("Demo on a MADE-UP market: the price feed does not answer. Every price is of source 'synthetic'.")
    else:
        stdout_say(f"Demo on the live market ({settings.JUPITER_API_URL}); all money is simulated.")
    made = make_agents()
    snapshots.capture()
    stdout_say(f"{len(made)} demo agents made" if made else "The demo agents are there already")


def choose_market() -> str:
    """LIVE when the price feed answers with a price of SOL within five seconds, however it fails otherwise SYNTHETIC."""
    headers = {"x-api-key": settings.JUPITER_API_KEY} if settings.JUPITER_API_KEY else {}
    end = time.monotonic() + PATIENCE_SECONDS
    try:
        with httpx.stream(
            "GET",
            f"{settings.JUPITER_API_URL}/price/v3",
            params={"ids": money.SOL_MINT},
            headers=headers,
            timeout=PATIENCE_SECONDS,
        ) as response:
            response.raise_for_status()
            body = b""
            for part in response.iter_bytes():
                body += part
                if time.monotonic() > end:
                    return SYNTHETIC
        parse_prices(registry.parse(body), [], at=clock.now())
    except (httpx.HTTPError, FeedFailure):
        return SYNTHETIC
    return LIVE
