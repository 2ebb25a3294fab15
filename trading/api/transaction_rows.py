"""Ledger entries as the reference's transactions: one statement finds the rows and writes each as its JSON.

A page has a hundred rows of thirty fields. Making Python's numbers, ids and times of them, and text of those again,
cost more than everything else that a request does; PostgreSQL writes the text from what it has just read. `row_to_json`
puts no spaces between, keeps the order of the columns below and escapes as `nexgent.api.rendering` does. Tests hold
the rows against `TransactionShape`, the golden answers and the arithmetic of `nexgent.money`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from nexgent import rows
from nexgent.api.pagination import Window
from nexgent.money import SOL_MINT
from trading.models import Purpose, Side
from wallets.models import EntryKind

_ENTRIES = """
FROM wallets_entry e
JOIN wallets_wallet w ON w.id = e.wallet_id AND w.epoch = e.epoch
JOIN agents_assignment a ON a.wallet_id = e.wallet_id AND e.at >= a.started_at
    AND (a.ended_at IS NULL OR e.at < a.ended_at)
JOIN agents_agent g ON g.id = a.agent_id AND g.archived_at IS NULL
"""
_PAGE = f"""
SELECT e.id, e.kind, e.at, e.order_id, e.reason, e.author, e.destination, e.sol_usd, a.agent_id, w.address {_ENTRIES}
"""
_JOINED = """
LEFT JOIN trading_order o ON o.id = e.order_id
LEFT JOIN trading_fill f ON f.order_id = e.order_id
LEFT JOIN LATERAL (
    SELECT asset, amount FROM wallets_posting WHERE entry_id = e.id AND kind = 'own' ORDER BY line LIMIT 1
) own ON true
LEFT JOIN prices_token t ON t.mint = coalesce(o.mint, own.asset)
"""

# What moved. A swap has a side of SOL and one of the token; any other entry has one asset, which counts as given.
_MOVED = f"""
CROSS JOIN LATERAL (SELECT
    f.order_id IS NOT NULL AS is_swap,
    f.order_id IS NOT NULL AND o.side = {int(Side.SELL)} AS is_sale,
    f.order_id IS NOT NULL OR own.asset IS NOT DISTINCT FROM '{SOL_MINT}' AS is_sol,
    CASE WHEN f.order_id IS NULL THEN coalesce(own.amount, 0)
         WHEN o.side = {int(Side.SELL)} THEN f.amount_out ELSE f.amount_in END AS amount,
    CASE WHEN o.side = {int(Side.SELL)} THEN f.amount_in ELSE f.amount_out END AS units,
    coalesce(nullif(t.symbol, ''), 'TOKEN') AS symbol,
    ('1e-' || coalesce(t.decimals, 0))::numeric AS unit,
    to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS time
) m
CROSS JOIN LATERAL (SELECT
    CASE WHEN m.is_sol THEN '{SOL_MINT}' ELSE coalesce(own.asset, '') END AS mint,
    CASE WHEN m.is_sol THEN 'SOL' ELSE m.symbol END AS symbol,
    trim_scale(CASE WHEN e.kind = '{EntryKind.ADJUSTMENT.value}' THEN m.amount ELSE abs(m.amount) END
        * CASE WHEN m.is_sol THEN 1e-9 ELSE m.unit END)::text AS amount,
    CASE WHEN m.is_sol THEN '1' END AS price,
    CASE WHEN m.is_sol THEN abs(m.amount) * 1e-9 * CASE WHEN m.is_swap THEN f.sol_usd ELSE e.sol_usd END END AS usd
) one
LEFT JOIN LATERAL (SELECT
    o.mint, m.symbol, trim_scale(m.units * m.unit)::text AS amount, trim_scale(f.price)::text AS price
) token ON m.is_swap
"""  # noqa: S608  (constants)
# Half of a last place goes to the even one, as everywhere.
_USD = """trim_scale(round(one.usd, 8) - CASE
    WHEN round(one.usd, 8) - one.usd = 0.000000005 AND mod(round(one.usd, 8) * 100000000, 2) = 1 THEN 0.00000001
    ELSE 0 END)::text"""
_WIRE = f"""
CROSS JOIN LATERAL (SELECT
    e.id AS "id",
    e.agent_id AS "agentId",
    e.address AS "walletAddress",
    e.kind AS "transactionType",
    coalesce({_USD}, '0') AS "transactionValueUsd",
    m.time AS "transactionTime",
    nullif(e.destination, '') AS "destinationAddress",
    o.signal_id AS "signalId",
    '0' AS "fees",
    NULL AS "routes",
    CASE WHEN m.is_sale THEN token.mint ELSE one.mint END AS "inputMint",
    CASE WHEN m.is_sale THEN token.symbol ELSE one.symbol END AS "inputSymbol",
    CASE WHEN m.is_sale THEN token.amount ELSE one.amount END AS "inputAmount",
    CASE WHEN m.is_sale THEN token.price ELSE one.price END AS "inputPrice",
    CASE WHEN m.is_sale THEN one.mint ELSE token.mint END AS "outputMint",
    CASE WHEN m.is_sale THEN one.symbol ELSE token.symbol END AS "outputSymbol",
    CASE WHEN m.is_sale THEN one.amount ELSE token.amount END AS "outputAmount",
    CASE WHEN m.is_sale THEN one.price ELSE token.price END AS "outputPrice",
    NULL AS "slippage",
    trim_scale(f.price_impact)::text AS "priceImpact",
    o.purpose IS NOT DISTINCT FROM {int(Purpose.DCA)} AS "isDca",
    o.purpose IS NOT DISTINCT FROM {int(Purpose.TAKE_PROFIT)} AS "isTakeProfit",
    NULL AS "transactionHash",
    trim_scale(f.protocol_fee_lamports * 1e-9)::text AS "protocolFeeSol",
    trim_scale(f.network_fee_lamports * 1e-9)::text AS "networkFeeSol",
    m.time AS "createdAt",
    m.time AS "updatedAt",
    e.order_id AS "orderId",
    o.position_id AS "positionId",
    nullif(e.reason, '') AS "reason",
    nullif(e.author, '') AS "author"
) wire
"""  # noqa: S608  (constants)
_FROM = f"{_JOINED} {_MOVED} {_WIRE}"
SEARCHED = "concat_ws(' ', t.symbol, t.mint, e.reason, e.author)"


class Row(NamedTuple):
    """An entry: what pages and permissions ask of it, and its JSON."""

    id: UUID
    at: datetime
    agent_id: UUID
    wire: str


def fetch(
    where: list[str],
    values: dict[str, Any],
    *,
    joined: Sequence[str] = (),
    window: Window | None = None,
) -> list[Row]:
    """Rows of the ledger, newest first unless a window says otherwise.

    `where` are fixed conditions on entries, wallets and agents, `joined` on what hangs on an entry: without any of
    these only the entries of the page are joined.
    """
    tail, order = " ORDER BY e.id DESC", " ORDER BY e.id DESC"
    if window is not None:
        where, values = [*where, *window.condition()], {**values, **window.parameters()}
        tail, order = window.tail(), window.order()
    page = f"{_PAGE} WHERE {' AND '.join(where)}"
    last = f"WHERE {' AND '.join(joined)} {tail}" if joined else order
    entries = f"({page} {'' if joined else tail}) e"
    sql = f"SELECT e.id, e.at, e.agent_id, row_to_json(wire)::text FROM {entries} {_FROM} {last}"  # noqa: S608
    with rows.execute(sql, values, is_answer_binary=True) as cursor:
        return [Row(*row) for row in cursor.fetchall()]


def count(where: list[str], values: dict[str, Any], joined: Sequence[str]) -> int:
    """How many rows there are, without a window."""
    sql = f"SELECT count(*) FROM ({_PAGE} WHERE {' AND '.join(where)}) e"  # noqa: S608
    with rows.execute(f"{sql} {_JOINED} WHERE {' AND '.join(joined)}" if joined else sql, values) as cursor:
        return int(cursor.fetchall()[0][0])
