"""Venues by profile name; an agent's profile names where its orders go."""

from trading.venues.protocol import Venue

_venues: dict[str, Venue] = {}


def register(profile: str, venue: Venue) -> None:
    _venues[profile] = venue


def venue_of(profile: str) -> Venue:
    """The venue of a profile; raises KeyError for one that nobody registered."""
    return _venues[profile]
