"""REST of trading: positions, orders, trades, the ledger as transactions, closed trades, performance."""
