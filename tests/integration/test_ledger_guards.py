"""What the database itself refuses, tried with raw SQL as the application's role."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import Error, IntegrityError, connection, transaction

from nexgent.ids import uuid7
from nexgent.money import SOL_MINT
from tests.ledger import MINT, START, new_wallet
from wallets import selectors, services
from wallets.models import Account, AccountKind, Entry, EntryKind, Hold, Posting, Wallet

pytestmark = pytest.mark.django_db


def run(sql: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def refused(action: Callable[[], Any]) -> str:
    """The name of the guard that refuses, or PostgreSQL's words where it has none."""
    with pytest.raises((Error, psycopg.Error)) as caught, transaction.atomic():
        action()
    cause = caught.value.__cause__ if isinstance(caught.value, Error) else caught.value
    assert isinstance(cause, psycopg.Error)
    return cause.diag.constraint_name or str(cause)


def entry(wallet: Wallet, *, order_id: UUID | None = None) -> UUID:
    identity = uuid7()
    run(
        "INSERT INTO wallets_entry (id, wallet_id, kind, order_id, epoch, at) VALUES (%s, %s, 'SWAP', %s, 1, %s)",
        identity,
        wallet.id,
        order_id,
        START,
    )
    return identity


def postings(entry_id: UUID, wallet: Wallet, *lines: tuple[int, str, int]) -> None:
    values = ", ".join(["(%s, %s, %s, %s, %s, %s)"] * len(lines))
    flat = [v for line, kind, amount in lines for v in (entry_id, line, wallet.id, SOL_MINT, kind, amount)]
    run(f"INSERT INTO wallets_posting (entry_id, line, wallet_id, asset, kind, amount) VALUES {values}", *flat)


@pytest.fixture
def wallet() -> Wallet:
    """A wallet with 1,000 lamports, of which 400 are held."""
    wallet = new_wallet()
    services.deposit(wallet_id=wallet.id, lamports=1_000, author="test", at=START)
    services.hold([services.NewHold(uuid7(), wallet.id, SOL_MINT, 400, START)])
    run("SET CONSTRAINTS ALL IMMEDIATE")  # TRUNCATE has a refusal of its own while checks are pending
    return wallet


def books_of(wallet: Wallet) -> tuple[int, int, int, int]:
    balance = selectors.balances(wallet.id)[SOL_MINT]
    counts = (Entry.objects.filter(wallet=wallet).count(), Posting.objects.filter(wallet=wallet).count())
    return (balance.units, balance.held, *counts)


def test_the_applications_role_is_no_superuser():
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False,)


def test_an_unbalanced_entry_is_refused(wallet):
    identity = entry(wallet)

    guard = refused(lambda: postings(identity, wallet, (0, "own", 5), (1, "external", -4)))

    assert guard == "entry_balanced"
    assert books_of(wallet) == (1_000, 400, 2, 2)


def test_an_entry_balances_per_asset_and_not_over_assets(wallet):
    services.adjust(wallet_id=wallet.id, asset=MINT, amount=5, reason="stock", author="test")
    identity = entry(wallet)

    def across_assets() -> None:
        run(
            "INSERT INTO wallets_posting (entry_id, line, wallet_id, asset, kind, amount)"
            " VALUES (%s, 0, %s, %s, 'own', 5), (%s, 1, %s, %s, 'own', -5)",
            *(identity, wallet.id, SOL_MINT),
            *(identity, wallet.id, MINT),
        )

    assert refused(across_assets) == "entry_balanced"


def test_two_entries_in_one_statement_balance_each_for_itself(wallet):
    first, second = entry(wallet), entry(wallet)

    def across_entries() -> None:
        run(
            "INSERT INTO wallets_posting (entry_id, line, wallet_id, asset, kind, amount)"
            " VALUES (%s, 0, %s, %s, 'own', 5), (%s, 0, %s, %s, 'external', -5)",
            *(first, wallet.id, SOL_MINT),
            *(second, wallet.id, SOL_MINT),
        )

    assert refused(across_entries) == "entry_balanced"


def test_an_old_entry_is_not_extended_by_a_later_statement_that_balances(wallet):
    old = Entry.objects.get(wallet=wallet)

    later = refused(lambda: postings(old.id, wallet, (2, "own", 5), (3, "external", -5)))
    same_lines = refused(lambda: postings(old.id, wallet, (0, "own", 5), (1, "external", -5)))

    assert later == "entry_one_statement"
    assert same_lines == "wallets_posting_pkey"
    assert books_of(wallet) == (1_000, 400, 1, 2)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE wallets_entry SET at = now()",
        "UPDATE wallets_entry SET reason = 'better' WHERE false",
        "DELETE FROM wallets_entry",
        "TRUNCATE wallets_entry CASCADE",
        "UPDATE wallets_posting SET amount = amount + 1",
        "DELETE FROM wallets_posting",
        "TRUNCATE wallets_posting",
        "UPDATE wallets_account SET balance = balance + 1",
        "UPDATE wallets_account SET held = 0",
        "UPDATE wallets_account_view SET balance = 0",
        "DELETE FROM wallets_account",
        "TRUNCATE wallets_account CASCADE",
        "UPDATE wallets_hold SET amount = 1",
        "TRUNCATE wallets_hold",
        "INSERT INTO wallets_account (wallet_id, asset, kind, balance, held)"
        " SELECT wallet_id, asset, kind, 0, 0 FROM wallets_account ON CONFLICT (wallet_id, asset, kind)"
        " DO UPDATE SET balance = 5",
        "MERGE INTO wallets_account a USING (SELECT 1) s ON true WHEN MATCHED THEN UPDATE SET balance = 0",
    ],
)
def test_history_and_balances_are_not_edited(wallet, sql):
    assert refused(lambda: run(sql)) == "ledger_immutable"
    assert books_of(wallet) == (1_000, 400, 1, 2)


def test_the_orm_cannot_edit_either(wallet):
    account = Account.objects.get(wallet=wallet, kind=AccountKind.OWN)
    account.balance = 5

    assert refused(lambda: account.save(update_fields=["balance"])) == "ledger_immutable"
    assert refused(lambda: Entry.objects.update(reason="better")) == "ledger_immutable"
    assert books_of(wallet) == (1_000, 400, 1, 2)


@pytest.mark.parametrize("column", ["balance", "held"])
def test_an_account_opens_empty(wallet, column):
    sql = f"INSERT INTO wallets_account (wallet_id, asset, kind, {column}) VALUES (%s, 'gift', 'own', 5)"

    assert refused(lambda: run(sql, wallet.id)) == "account_opens_empty"


def test_a_posting_stays_within_its_entrys_wallet(wallet):
    other = new_wallet()
    services.deposit(wallet_id=other.id, lamports=50, author="test", at=START)

    guard = refused(lambda: postings(entry(wallet), other, (0, "own", 5), (1, "external", -5)))

    assert guard == "posting_of_entry"
    assert selectors.balances(other.id)[SOL_MINT].units == 50


def test_a_posting_needs_its_account(wallet):
    guard = refused(lambda: postings(entry(wallet), wallet, (0, "own", -5), (1, "burned", 5)))

    assert guard == "posting_on_account"


def test_a_line_of_nothing_is_refused(wallet):
    assert refused(lambda: postings(entry(wallet), wallet, (0, "own", 0))) == "posting_not_zero"


def test_an_order_has_one_entry(wallet):
    order_id = uuid7()
    entry(wallet, order_id=order_id)

    assert refused(lambda: entry(wallet, order_id=order_id)) == "entry_order_once"


def test_an_overdraft_is_refused(wallet):
    guard = refused(lambda: postings(entry(wallet), wallet, (0, "own", -1_001), (1, "external", 1_001)))

    assert guard == "account_covered"


def test_what_is_held_cannot_be_spent(wallet):
    guard = refused(lambda: postings(entry(wallet), wallet, (0, "own", -601), (1, "external", 601)))
    postings(entry(wallet), wallet, (0, "own", -600), (1, "external", 600))

    assert guard == "account_covered"
    assert books_of(wallet)[:2] == (400, 400)


def hold_sql(wallet: Wallet, asset: str, amount: int) -> None:
    run(
        "INSERT INTO wallets_hold (order_id, wallet_id, asset, amount, at) VALUES (%s, %s, %s, %s, %s)",
        *(uuid7(), wallet.id, asset, amount, START),
    )


def test_no_more_is_held_than_there_is(wallet):
    assert refused(lambda: hold_sql(wallet, SOL_MINT, 601)) == "account_covered"
    assert refused(lambda: hold_sql(wallet, MINT, 1)) == "hold_covered"
    assert refused(lambda: hold_sql(wallet, SOL_MINT, 0)) == "hold_positive"
    assert refused(lambda: hold_sql(wallet, SOL_MINT, -1)) != ""


def test_a_deleted_hold_is_given_back_and_a_second_delete_changes_nothing(wallet):
    identity = Hold.objects.get(wallet=wallet).order_id

    run("DELETE FROM wallets_hold WHERE order_id = %s", identity)
    run("DELETE FROM wallets_hold WHERE order_id = %s", identity)

    assert books_of(wallet)[:2] == (1_000, 0)


def test_replication_role_and_system_triggers_are_out_of_reach():
    assert "permission denied" in refused(lambda: run("SET session_replication_role = replica"))
    assert "permission denied" in refused(lambda: run("SET LOCAL session_replication_role = local"))
    assert "permission denied" in refused(lambda: run("ALTER TABLE wallets_posting DISABLE TRIGGER ALL"))


def test_the_guards_stay_on_whatever_the_replication_role():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE tgenabled = 'A') FROM pg_trigger"
            " WHERE NOT tgisinternal AND tgrelid::regclass::text = ANY(%s)",
            [["wallets_entry", "wallets_posting", "wallets_account", "wallets_hold"]],
        )
        assert cursor.fetchone() == (9, 9)


def test_a_temporary_table_does_not_catch_the_sums(wallet):
    run("CREATE TEMP TABLE wallets_account (wallet_id uuid, asset text, kind text, balance numeric, held numeric)")
    try:
        postings(entry(wallet), wallet, (0, "own", 5), (1, "external", -5))
    finally:
        run("DROP TABLE pg_temp.wallets_account")

    assert books_of(wallet)[0] == 1_005


def test_copy_is_guarded_like_insert(wallet):
    identity = entry(wallet)

    def copy() -> None:
        with (
            connection.cursor() as cursor,
            cursor.copy("COPY wallets_posting (entry_id, line, wallet_id, asset, kind, amount) FROM STDIN") as stream,
        ):
            stream.write_row((identity, 0, wallet.id, SOL_MINT, "own", 5))

    assert refused(copy) == "entry_balanced"


def test_post_refuses_an_overdraft_as_integrity_error(wallet):
    lines = (
        services.Line(SOL_MINT, AccountKind.OWN, -2_000),
        services.Line(SOL_MINT, AccountKind.MARKET, 2_000),
    )

    with pytest.raises(IntegrityError), transaction.atomic():
        services.post([services.Draft(wallet.id, EntryKind.SWAP, START, lines)])

    assert books_of(wallet) == (1_000, 400, 1, 2)
