"""Every limit of the live connections in one place; durations in seconds, sizes in bytes."""

PING_SECONDS = 30.0  # a JSON ping to every agent socket
PONG_SECONDS = 20.0  # a ping unanswered for so long stops prices
SILENT_PINGS = 2  # so many intervals without a word close the socket
HEARTBEAT_SECONDS = 15.0  # a comment on every stream of server-sent events
RECHECK_SECONDS = 60.0  # credentials are asked again, for the case that a revocation message was lost
HEAL_SECONDS = 1.0  # stream counters are compared: a lost publish is noticed after at most so long
PRICE_SECONDS = 0.2  # between two price frames of one agent
BEHIND_BYTES = 65_536
BEHIND_SECONDS = 10.0
BURST_SECONDS = 1.0  # a client may be over BEHIND_BYTES for so long: one commit can be larger
CONNECTIONS_PER_PRINCIPAL = 20  # sockets and streams together, in all web processes
SEAT_SECONDS = 60.0  # after so long without a sign of life a process's connections are no longer counted
SEAT_SIGN_SECONDS = 20.0
STREAM_AGENTS = 50  # agents that one stream of server-sent events may follow
MESSAGES_PER_SECOND = 20  # from a client, over BUDGET_SECONDS
BUDGET_SECONDS = 10.0
REPLAY_MAX = 1_000  # events; further behind gets a fresh snapshot
RING = 256  # recent events kept per followed stream
TICKET_SECONDS = 30
REQUEST_SECONDS = 30.0  # from the first to the last byte of an HTTP request
BODY_BYTES_MAX = 2 * 1024 * 1024  # cut at once; above 1 MiB the application refuses with its own words
