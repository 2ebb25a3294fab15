"""The invariants of the ledger as SQL: each statement returns what breaks it, as rows (subject, detail).

All are set-based, so that a check of everything is a handful of scans. `deep` marks those that read all postings or all
fills; the others read accounts, holds and positions only.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Invariant:
    """One rule that always holds; `sentence` says it in words, `sql` finds what breaks it."""

    name: str
    sentence: str
    sql: str
    deep: bool = False


_GUARDS = """
SELECT expected.name AS subject, coalesce('trigger of ' || expected.on_table || ' is not always on', '') AS detail
FROM (VALUES ('wallets_entry', 'entry_immutable'), ('wallets_posting', 'posting_immutable'),
             ('wallets_posting', 'posting_added'), ('wallets_account', 'account_opened'),
             ('wallets_account', 'account_guarded'), ('wallets_account', 'account_kept'),
             ('wallets_hold', 'hold_added'), ('wallets_hold', 'hold_removed'), ('wallets_hold', 'hold_immutable')
     ) AS expected(on_table, name)
LEFT JOIN pg_trigger AS t ON t.tgrelid = to_regclass(expected.on_table) AND t.tgname = expected.name
WHERE t.tgenabled IS DISTINCT FROM 'A'
UNION ALL
SELECT expected.name, 'constraint of ' || expected.on_table || ' is missing or not valid'
FROM (VALUES ('wallets_account', 'account_covered'), ('wallets_account', 'account_held_positive'),
             ('wallets_posting', 'posting_of_entry'), ('wallets_posting', 'posting_on_account'),
             ('wallets_posting', 'posting_not_zero'), ('wallets_hold', 'hold_positive')
     ) AS expected(on_table, name)
LEFT JOIN pg_constraint AS c ON c.conrelid = to_regclass(expected.on_table) AND c.conname = expected.name
WHERE c.convalidated IS DISTINCT FROM true
UNION ALL
SELECT 'entry_order_once', 'the unique index is missing or not valid'
WHERE NOT EXISTS (
    SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('entry_order_once') AND indisvalid AND indisunique
)
"""

_ENTRIES_BALANCE = """
SELECT entry_id AS subject, asset || ' sums to ' || sum(amount) AS detail
FROM wallets_posting GROUP BY entry_id, asset HAVING sum(amount) <> 0
"""

_ENTRIES_HAVE_POSTINGS = """
SELECT e.id AS subject, e.kind || ' entry without postings' AS detail
FROM wallets_entry AS e LEFT JOIN wallets_posting AS p ON p.entry_id = e.id WHERE p.entry_id IS NULL
UNION ALL
SELECT p.entry_id, 'a posting of another wallet, or of no entry'
FROM wallets_posting AS p LEFT JOIN wallets_entry AS e ON e.id = p.entry_id AND e.wallet_id = p.wallet_id
WHERE e.id IS NULL
"""

_BALANCES_ARE_POSTINGS = """
SELECT coalesce(a.wallet_id, p.wallet_id) || ' ' || coalesce(a.kind, p.kind) || ' ' || coalesce(a.asset, p.asset)
           AS subject,
       'balance ' || coalesce(a.balance::text, 'missing') || ', postings ' || coalesce(p.total, 0) AS detail
FROM wallets_account AS a
FULL JOIN (SELECT wallet_id, asset, kind, sum(amount) AS total FROM wallets_posting
           GROUP BY wallet_id, asset, kind) AS p
       ON p.wallet_id = a.wallet_id AND p.asset = a.asset AND p.kind = a.kind
WHERE coalesce(a.balance, 0) <> coalesce(p.total, 0) OR a.wallet_id IS NULL
"""

_HELD_IS_HOLDS = """
SELECT coalesce(a.wallet_id, h.wallet_id) || ' ' || coalesce(a.asset, h.asset) AS subject,
       'held ' || coalesce(a.held::text, 'missing') || ', holds ' || coalesce(h.total, 0) AS detail
FROM (SELECT wallet_id, asset, sum(held) AS held FROM wallets_account GROUP BY wallet_id, asset) AS a
FULL JOIN (SELECT wallet_id, asset, sum(amount) AS total FROM wallets_hold GROUP BY wallet_id, asset) AS h
       ON h.wallet_id = a.wallet_id AND h.asset = a.asset
WHERE coalesce(a.held, 0) <> coalesce(h.total, 0)
"""

_COVERED = """
SELECT wallet_id || ' ' || asset AS subject, 'balance ' || balance || ', held ' || held AS detail
FROM wallets_account WHERE kind = 'own' AND (balance < held OR balance < 0)
"""

_HOLDS_HAVE_OPEN_ORDERS = """
SELECT h.order_id AS subject,
       CASE WHEN o.id IS NULL THEN 'a hold without an order' WHEN o.state >= 3 THEN 'a hold of an order that is final'
            ELSE 'a hold on another wallet than its order''s' END AS detail
FROM wallets_hold AS h LEFT JOIN trading_order AS o ON o.id = h.order_id
WHERE o.id IS NULL OR o.state >= 3 OR o.wallet_id <> h.wallet_id
"""

_FILLED_ONCE = """
SELECT o.id AS subject,
       format('filled, with %%s fills and %%s swap entries', count(DISTINCT f.order_id), count(DISTINCT e.id)) AS detail
FROM trading_order AS o
LEFT JOIN trading_fill AS f ON f.order_id = o.id
LEFT JOIN wallets_entry AS e ON e.order_id = o.id AND e.kind = 'SWAP' AND e.wallet_id = o.wallet_id
WHERE o.state = 3 GROUP BY o.id HAVING count(DISTINCT f.order_id) <> 1 OR count(DISTINCT e.id) <> 1
UNION ALL
SELECT f.order_id, 'a fill of an order that is not filled'
FROM trading_fill AS f JOIN trading_order AS o ON o.id = f.order_id WHERE o.state <> 3
UNION ALL
SELECT e.id, 'a swap entry without a filled order'
FROM wallets_entry AS e LEFT JOIN trading_order AS o ON o.id = e.order_id AND o.state = 3
WHERE e.kind = 'SWAP' AND o.id IS NULL
"""

# A buy pays the network's fee beside what it swaps (the protocol's is inside); a sale pays both from what it brings.
_ENTRIES_ARE_FILLS = """
SELECT o.id AS subject,
       format('the entry posts SOL own %%s market %%s fees %%s rent %%s, token own %%s market %%s;'
              ' the fill says in %%s out %%s protocol %%s network %%s rent %%s',
              p.own_sol, p.market_sol, p.fees, p.rent, p.own_token, p.market_token, f.amount_in, f.amount_out,
              f.protocol_fee_lamports, f.network_fee_lamports, f.rent_lamports) AS detail
FROM trading_order AS o
JOIN trading_fill AS f ON f.order_id = o.id
JOIN wallets_entry AS e ON e.order_id = o.id
JOIN LATERAL (
    SELECT coalesce(sum(amount) FILTER (WHERE asset = %(sol)s AND kind = 'own'), 0) AS own_sol,
           coalesce(sum(amount) FILTER (WHERE asset = %(sol)s AND kind = 'market'), 0) AS market_sol,
           coalesce(sum(amount) FILTER (WHERE asset = %(sol)s AND kind = 'fees'), 0) AS fees,
           coalesce(sum(amount) FILTER (WHERE asset = %(sol)s AND kind = 'rent'), 0) AS rent,
           coalesce(sum(amount) FILTER (WHERE asset = o.mint AND kind = 'own'), 0) AS own_token,
           coalesce(sum(amount) FILTER (WHERE asset = o.mint AND kind = 'market'), 0) AS market_token,
           count(*) FILTER (WHERE NOT (asset = %(sol)s AND kind IN ('own', 'market', 'fees', 'rent')
                                       OR asset = o.mint AND kind IN ('own', 'market'))) AS others
    FROM wallets_posting AS p WHERE p.entry_id = e.id
) AS p ON true
WHERE p.others <> 0 OR p.market_token <> -p.own_token OR p.own_sol <> -(p.market_sol + p.fees + p.rent)
   OR CASE o.side
      WHEN 0 THEN p.market_sol <> f.amount_in OR p.own_token <> f.amount_out
               OR p.fees <> f.network_fee_lamports OR p.rent <> f.rent_lamports
      ELSE p.own_token <> -f.amount_in OR p.market_sol <> -f.amount_out
        OR p.fees <> f.network_fee_lamports + f.protocol_fee_lamports OR p.rent > 0
      END
"""

# Tokens that an adjustment brought belong to no position.
_TOKENS_ARE_POSITIONS = """
SELECT coalesce(a.wallet_id, p.wallet_id) || ' ' || coalesce(a.asset, p.mint) AS subject,
       'the wallet holds ' || coalesce(a.units, 0) || ', positions say ' || coalesce(p.remaining_units, 0) AS detail
FROM (SELECT wallet_id, asset, sum(balance) AS units FROM wallets_account
      WHERE kind IN ('own', 'adjustment') AND asset <> %(sol)s GROUP BY wallet_id, asset) AS a
FULL JOIN (SELECT wallet_id, mint, sum(remaining_units) AS remaining_units FROM trading_position
           WHERE closed_at IS NULL GROUP BY wallet_id, mint) AS p
       ON p.wallet_id = a.wallet_id AND p.mint = a.asset
WHERE coalesce(a.units, 0) <> coalesce(p.remaining_units, 0)
"""

_RENT_IS_POSITIONS = """
SELECT coalesce(a.wallet_id, p.wallet_id)::text AS subject,
       'rent account ' || coalesce(a.balance, 0) || ', open positions ' || coalesce(p.rent, 0) AS detail
FROM (SELECT wallet_id, balance FROM wallets_account WHERE kind = 'rent' AND asset = %(sol)s) AS a
FULL JOIN (SELECT wallet_id, sum(rent_lamports) AS rent FROM trading_position WHERE closed_at IS NULL
           GROUP BY wallet_id) AS p ON p.wallet_id = a.wallet_id
WHERE coalesce(a.balance, 0) <> coalesce(p.rent, 0)
"""

_CLOSED_IS_CLOSED = """
SELECT id AS subject,
       CASE WHEN closed_at IS NULL THEN 'open with nothing left, and no buy under way'
            WHEN remaining_units <> 0 OR cost_lamports <> 0 THEN 'closed with ' || remaining_units || ' units left'
            ELSE 'closed without a reason' END AS detail
FROM trading_position AS p
WHERE closed_at IS NULL AND remaining_units <= 0
      AND NOT EXISTS (SELECT FROM trading_order AS o WHERE o.position_id = p.id AND o.side = 0 AND o.state = 2)
   OR closed_at IS NOT NULL AND (remaining_units <> 0 OR cost_lamports <> 0 OR close_reason = '')
"""

_REALISED = """
SELECT id AS subject, 'realised ' || realised_lamports || ', received ' || received_lamports
       || ' less the cost of what was sold ' || invested_lamports - cost_lamports AS detail
FROM trading_position WHERE realised_lamports <> received_lamports - (invested_lamports - cost_lamports)
"""

# What left without a sale was written off: bought - sold - remaining, and stands on the wallet's `burned` account.
_POSITIONS_ARE_FILLS = """
WITH ordered AS (
    SELECT position_id, id AS order_id FROM trading_order WHERE position_id IS NOT NULL
    UNION SELECT id, opened_by_id FROM trading_position
), filled AS (
    SELECT ordered.position_id AS id, sum(f.amount_out) FILTER (WHERE o.side = 0) AS bought,
           coalesce(sum(f.amount_in) FILTER (WHERE o.side = 1), 0) AS sold,
           sum(f.amount_in + f.network_fee_lamports) FILTER (WHERE o.side = 0) AS invested,
           coalesce(sum(f.amount_out - f.protocol_fee_lamports - f.network_fee_lamports)
                    FILTER (WHERE o.side = 1), 0) AS received,
           coalesce(sum(f.realised_lamports), 0) AS realised
    FROM ordered JOIN trading_order AS o ON o.id = ordered.order_id JOIN trading_fill AS f ON f.order_id = o.id
    GROUP BY ordered.position_id
)
SELECT p.id::text AS subject,
       format('the position says bought %%s invested %%s received %%s realised %%s remaining %%s; its fills say'
              ' bought %%s invested %%s received %%s realised %%s sold %%s', p.bought_units, p.invested_lamports,
              p.received_lamports, p.realised_lamports, p.remaining_units, f.bought, f.invested, f.received, f.realised,
              f.sold) AS detail
FROM trading_position AS p LEFT JOIN filled AS f ON f.id = p.id
WHERE f.id IS NULL OR p.bought_units <> f.bought OR p.invested_lamports <> f.invested
   OR p.received_lamports <> f.received OR p.remaining_units > f.bought - f.sold
   OR (p.remaining_units = f.bought - f.sold AND p.realised_lamports <> f.realised)
UNION ALL
SELECT coalesce(b.wallet_id, p.wallet_id) || ' ' || coalesce(b.asset, p.mint),
       'burned ' || coalesce(b.balance, 0) || ', positions wrote off ' || coalesce(p.units, 0)
FROM (SELECT wallet_id, asset, balance FROM wallets_account WHERE kind = 'burned' AND asset <> %(sol)s) AS b
FULL JOIN (SELECT p.wallet_id, p.mint, sum(f.bought - f.sold - p.remaining_units) AS units
           FROM trading_position AS p JOIN filled AS f ON f.id = p.id GROUP BY p.wallet_id, p.mint) AS p
       ON p.wallet_id = b.wallet_id AND p.mint = b.asset
WHERE coalesce(b.balance, 0) <> coalesce(p.units, 0)
"""

_PROFIT_IS_EQUITY = """
SELECT coalesce(a.wallet_id, p.wallet_id)::text AS subject,
       'equity changed by ' || coalesce(a.changed, 0) + coalesce(p.cost, 0) || ', realised ' || coalesce(p.realised, 0)
           AS detail
FROM (SELECT wallet_id, sum(balance) AS changed FROM wallets_account
      WHERE asset = %(sol)s AND kind IN ('own', 'rent', 'external', 'adjustment') GROUP BY wallet_id) AS a
FULL JOIN (SELECT wallet_id, sum(cost_lamports) AS cost, sum(realised_lamports) AS realised
           FROM trading_position GROUP BY wallet_id) AS p ON p.wallet_id = a.wallet_id
WHERE coalesce(a.changed, 0) + coalesce(p.cost, 0) <> coalesce(p.realised, 0)
"""

INVARIANTS = (
    Invariant("guards_on", "The database's guards of the ledger exist and are on.", _GUARDS),
    Invariant("entries_balance", "The postings of an entry sum to zero per asset.", _ENTRIES_BALANCE, deep=True),
    Invariant("entries_complete", "An entry has postings, all of its wallet.", _ENTRIES_HAVE_POSTINGS, deep=True),
    Invariant("balances_are_postings", "A balance is the sum of its postings.", _BALANCES_ARE_POSTINGS, deep=True),
    Invariant("held_is_holds", "What is held of an account is the sum of its holds.", _HELD_IS_HOLDS),
    Invariant("balances_covered", "No wallet holds less than nothing, or less than is held.", _COVERED),
    Invariant("holds_have_open_orders", "A hold belongs to an order that is open.", _HOLDS_HAVE_OPEN_ORDERS),
    Invariant("filled_once", "A filled order has one fill and one swap entry.", _FILLED_ONCE, deep=True),
    Invariant("entries_are_fills", "A swap entry posts what its fill says.", _ENTRIES_ARE_FILLS, deep=True),
    Invariant("tokens_are_positions", "A wallet holds the tokens of its open positions.", _TOKENS_ARE_POSITIONS),
    Invariant("rent_is_positions", "Rent deposits are those of the open positions.", _RENT_IS_POSITIONS),
    Invariant("closed_is_closed", "A closed position has nothing left, and a reason.", _CLOSED_IS_CLOSED),
    Invariant("realised_is_received_less_cost", "Realised = received - cost of what was sold.", _REALISED),
    Invariant("positions_are_fills", "A position is the sum of its fills.", _POSITIONS_ARE_FILLS, deep=True),
    Invariant("profit_is_equity", "Realised + unrealised = change in equity, per wallet.", _PROFIT_IS_EQUITY),
)
