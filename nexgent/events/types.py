"""The types of events that are appended, by the stream they stand in; webhooks choose among them.

Types have no place of their own where they are appended: a test reads the sources and compares.
"""

OF_AGENTS = ("position_update", "order_update", "balance_update", "wallet_reset")
OF_WORKSPACES = (
    "agent_created",
    "agent_updated",
    "agent_config_updated",
    "agent_archived",
    "wallet_assigned",
    "wallet_unassigned",
    "signal_created",
    "signal_updated",
    "signal_deleted",
    "alarm_raised",
    "alarm_cleared",
)
EVENT_TYPES = (*OF_AGENTS, *OF_WORKSPACES)
