"""REST of agents: the agents themselves, their configuration, their wallets and what those hold."""
