"""The Valkey channels that carry hints between processes. A message may be lost: the database has the facts."""

EVENTS = "nexgent:events"  # JSON [[stream id, newest seq], ...] after a commit
PRICES = "nexgent:prices"  # JSON {"t": ms, "prices": [[mint, "price in SOL", "price in USD" or null], ...]}
CONTROL = "nexgent:control"  # JSON: revoke, logout, one token socket per agent (see nexgent.events.control)
