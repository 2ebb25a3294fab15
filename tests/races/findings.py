"""What a run found, as sentences in the columns of its last line, and what must hold between rounds."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import connection

from nexgent.money import SOL_MINT
from tests.crash.world import query
from trading import books

COLUMNS = (
    "double_signals",
    "double_buys",
    "overspent",
    "sold_twice",
    "orphans",
    "unanswered",
    "unbalanced",
)
_ALWAYS = {
    "double_signals": """
        SELECT 'accepted twice: ' || signal_type FROM signals_signal GROUP BY signal_type HAVING count(*) > 1
    """,
    "double_buys": """
        SELECT 'signal ' || signal_id || ' and agent ' || agent_id || ' have ' || count(*) || ' entries'
        FROM trading_order WHERE purpose = 0 GROUP BY signal_id, agent_id HAVING count(*) > 1
        UNION ALL
        SELECT 'wallet ' || wallet_id || ' opened ' || mint || ' again before it was closed' FROM trading_position p
        WHERE EXISTS (SELECT 1 FROM trading_position q WHERE q.wallet_id = p.wallet_id AND q.mint = p.mint
          AND q.id < p.id AND (q.closed_at IS NULL OR q.closed_at > p.opened_at))
        UNION ALL
        SELECT 'position ' || p.id || ' counts ' || p.dca_count || ' DCA of ' || count(o.id) FROM trading_position p
        LEFT JOIN trading_order o ON o.position_id = p.id AND o.purpose = 1 AND o.state = 3
        GROUP BY p.id HAVING count(o.id) <> p.dca_count
    """,
    "overspent": f"""
        SELECT 'wallet ' || wallet_id || ' has ' || balance || ' lamports and holds ' || held FROM wallets_account
        WHERE kind = 'own' AND asset = '{SOL_MINT}' AND (balance < 0 OR balance < held)
    """,
    "sold_twice": """
        SELECT 'position ' || p.id || ' bought ' || sum(f.amount_out) FILTER (WHERE o.side = 0) || ', sold '
          || coalesce(sum(f.amount_in) FILTER (WHERE o.side = 1), 0) || ', has ' || p.remaining_units
        FROM trading_position p JOIN trading_order o ON o.position_id = p.id JOIN trading_fill f ON f.order_id = o.id
        GROUP BY p.id HAVING sum(CASE o.side WHEN 0 THEN f.amount_out ELSE -f.amount_in END) <> p.remaining_units
    """,
    "orphans": f"""
        SELECT 'wallet ' || a.wallet_id || ' has ' || a.balance || ' of ' || a.asset || ' and no position in it'
        FROM wallets_account a WHERE kind = 'own' AND asset <> '{SOL_MINT}' AND balance <> (
          SELECT coalesce(sum(p.remaining_units), 0) FROM trading_position p
          WHERE p.wallet_id = a.wallet_id AND p.mint = a.asset AND p.closed_at IS NULL)
        UNION ALL
        SELECT 'hold of order ' || h.order_id || ', state ' || o.state FROM wallets_hold h
        JOIN trading_order o ON o.id = h.order_id WHERE o.state >= 3
    """,
    "unanswered": """
        SELECT 'signal ' || s.id || ': no verdict of agent ' || a.id FROM signals_signal s
        JOIN agents_agent a ON a.workspace_id = s.workspace_id
        LEFT JOIN signals_verdict v ON v.signal_id = s.id AND v.agent_id = a.id WHERE v.agent_id IS NULL
        UNION ALL
        SELECT 'signal ' || signal_id || ': no order of agent ' || agent_id || ', which was eligible'
        FROM signals_verdict WHERE order_id IS NULL AND reasons = '[]'
    """,
    "unbalanced": """
        SELECT 'order ' || o.id || ', state ' || o.state || ', has its fill: ' || (f.order_id IS NOT NULL)
        FROM trading_order o LEFT JOIN trading_fill f ON f.order_id = o.id
        WHERE (o.state = 3) <> (f.order_id IS NOT NULL)
    """,
}


def rows(sql: str, **values: Any) -> list[tuple[Any, ...]]:
    """What a statement answers."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return list(cursor.fetchall())


@dataclass
class Findings:
    """Sentences by column; each counts as one."""

    found: dict[str, set[str]] = field(default_factory=lambda: {column: set() for column in COLUMNS})
    told: set[str] = field(default_factory=set)
    is_control: bool = False
    """The guards of the database are gone on purpose: that they are missing is no finding."""

    @property
    def is_clean(self) -> bool:
        return not any(self.found.values())

    @property
    def figures(self) -> str:
        return " ".join(f"{column}={len(self.found[column])}" for column in COLUMNS)

    def add(self, column: str, finding: str) -> None:
        self.found[column].add(finding)

    def expect(self, column: str, wanted: object, got: object, what: str) -> None:
        """A finding unless both are equal."""
        if wanted != got:
            self.add(column, f"{what}: {got}, not {wanted}")

    def check(self, swapped: dict[str, int]) -> None:
        """Everything that must hold once nothing is on its way; `swapped` is the venue's record of the wire."""
        for column, sql in _ALWAYS.items():
            self.found[column] |= {row[0] for row in query(partial(rows, sql))}
        report = query(books.check)
        problems = [p for p in report.problems if not (self.is_control and p.invariant == "guards_on")]
        self.found["unbalanced"] |= {f"{p.invariant} {p.subject} {p.detail}" for p in problems}
        self._check_venue(swapped)

    def _check_venue(self, swapped: dict[str, int]) -> None:
        """One swap per order that was booked, none of any other."""
        orders = {
            order_id: (side, is_filled)
            for order_id, side, is_filled in query(
                lambda: rows("SELECT id::text, side, state = 3 FROM trading_order WHERE profile = 'wire'")
            )
        }
        for order_id, times in swapped.items():
            side, is_filled = orders[order_id]
            if times > 1:
                self.add("sold_twice" if side else "double_buys", f"order {order_id} was swapped {times} times")
            if not is_filled:
                self.add("unbalanced", f"order {order_id} was swapped and is not booked")
        for order_id, (_, is_filled) in orders.items():
            if is_filled and order_id not in swapped:
                self.add("unbalanced", f"order {order_id} is booked and was never swapped")

    def news(self) -> list[str]:
        """Findings that were not told yet."""
        found = [f"{column}: {finding}" for column in COLUMNS for finding in sorted(self.found[column])]
        new = [finding for finding in found if finding not in self.told]
        self.told.update(new)
        return new
