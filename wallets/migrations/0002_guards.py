"""The ledger's guarantees, kept by the database itself.

* The postings of an entry come in one statement, sum to zero per asset, and are added to the account balances by it.
* Entries and postings are never updated, deleted or truncated; accounts change only through postings and holds.
* A posting belongs to its entry's wallet and to an account of it (composite foreign keys).
* `Account.held` is the sum of the account's holds.

The triggers are ENABLE ALWAYS, so that not even `session_replication_role` (superusers only) switches them off. The
owner of the tables can still disable a trigger or drop the tables; `manage.py books --check` reports a guard that is
missing or off.
"""

import django.db.models.deletion
from django.db import migrations, models

FUNCTIONS = """
CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: % is refused, the ledger only grows', TG_TABLE_NAME, lower(TG_OP)
        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'ledger_immutable';
END $$;

CREATE FUNCTION ledger_account_opened() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an account opens empty: postings and holds fill it'
        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'account_opens_empty';
END $$;

CREATE FUNCTION ledger_posted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    broken record;
BEGIN
    SELECT entry_id, asset, sum(amount) AS total INTO broken
        FROM added GROUP BY entry_id, asset HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry % does not balance: its postings of % sum to %', broken.entry_id, broken.asset, broken.total
            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'entry_balanced';
    END IF;
    -- Lines count from 0, so a second statement for the same entry collides with the primary key.
    SELECT entry_id INTO broken
        FROM added GROUP BY entry_id HAVING min(line) <> 0 OR max(line) <> count(*) - 1 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the postings of entry % come in one statement, its lines count from 0', broken.entry_id
            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'entry_one_statement';
    END IF;
    UPDATE wallets_account AS account SET balance = account.balance + moved.total
        FROM (SELECT wallet_id, asset, kind, sum(amount) AS total FROM added GROUP BY wallet_id, asset, kind) AS moved
        WHERE account.wallet_id = moved.wallet_id AND account.asset = moved.asset AND account.kind = moved.kind;
    RETURN NULL;
END $$;

CREATE FUNCTION ledger_held() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
    expected integer;
    changed integer;
BEGIN
    SELECT count(DISTINCT (wallet_id, asset)) INTO expected FROM moving;
    UPDATE wallets_account AS account SET held = account.held + sign * moved.total
        FROM (SELECT wallet_id, asset, sum(amount) AS total FROM moving GROUP BY wallet_id, asset) AS moved
        WHERE account.wallet_id = moved.wallet_id AND account.asset = moved.asset AND account.kind = 'own';
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed <> expected THEN
        RAISE EXCEPTION 'nothing to hold: the wallet has no account of that asset'
            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'hold_covered';
    END IF;
    RETURN NULL;
END $$;

-- Their own tables first, a temporary table never in between; and the primary key whatever the statistics say, because
-- a plan cached while the table was small would scan it for ever after.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['ledger_posted', 'ledger_held'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SET search_path = %I, pg_temp', name, current_schema());
        EXECUTE format('ALTER FUNCTION %I() SET enable_seqscan = off', name);
        EXECUTE format('ALTER FUNCTION %I() SET enable_hashjoin = off', name);
        EXECUTE format('ALTER FUNCTION %I() SET enable_mergejoin = off', name);
    END LOOP;
END $$;
"""

DROP_FUNCTIONS = """
DROP FUNCTION ledger_held(); DROP FUNCTION ledger_posted(); DROP FUNCTION ledger_account_opened(); DROP FUNCTION ledger_refuse();
"""

TRIGGERS = {
    ("wallets_entry", "entry_immutable"): "BEFORE UPDATE OR DELETE OR TRUNCATE ON wallets_entry"
    " FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()",
    ("wallets_posting", "posting_immutable"): "BEFORE UPDATE OR DELETE OR TRUNCATE ON wallets_posting"
    " FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()",
    ("wallets_posting", "posting_added"): "AFTER INSERT ON wallets_posting REFERENCING NEW TABLE AS added"
    " FOR EACH STATEMENT EXECUTE FUNCTION ledger_posted()",
    ("wallets_account", "account_opened"): "BEFORE INSERT ON wallets_account FOR EACH ROW"
    " WHEN (NEW.balance <> 0 OR NEW.held <> 0) EXECUTE FUNCTION ledger_account_opened()",
    # Depth 0: nobody but the triggers of postings and holds.
    ("wallets_account", "account_guarded"): "BEFORE UPDATE ON wallets_account FOR EACH STATEMENT"
    " WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION ledger_refuse()",
    ("wallets_account", "account_kept"): "BEFORE DELETE OR TRUNCATE ON wallets_account"
    " FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()",
    ("wallets_hold", "hold_added"): "AFTER INSERT ON wallets_hold REFERENCING NEW TABLE AS moving"
    " FOR EACH STATEMENT EXECUTE FUNCTION ledger_held()",
    ("wallets_hold", "hold_removed"): "AFTER DELETE ON wallets_hold REFERENCING OLD TABLE AS moving"
    " FOR EACH STATEMENT EXECUTE FUNCTION ledger_held()",
    ("wallets_hold", "hold_immutable"): "BEFORE UPDATE OR TRUNCATE ON wallets_hold"
    " FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()",
}

KEYS = """
ALTER TABLE wallets_posting
    ADD CONSTRAINT posting_of_entry FOREIGN KEY (wallet_id, entry_id) REFERENCES wallets_entry (wallet_id, id),
    ADD CONSTRAINT posting_on_account FOREIGN KEY (wallet_id, asset, kind) REFERENCES wallets_account (wallet_id, asset, kind);
"""

# Balances change with every trade: room for the new version on the same page, statistics that follow growth.
STORAGE = """
ALTER TABLE wallets_account SET (fillfactor = 70, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE wallets_entry SET (autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE wallets_posting SET (autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE wallets_hold SET (autovacuum_analyze_scale_factor = 0.02);
"""


class Migration(migrations.Migration):
    dependencies = [("wallets", "0001_initial")]

    operations = [
        migrations.RemoveIndex("entry", "entry_wallet"),
        migrations.AddConstraint("entry", models.UniqueConstraint(fields=["wallet", "id"], name="entry_wallet")),
        migrations.AlterField(
            "posting",
            "entry",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="postings",
                to="wallets.entry",
            ),
        ),
        migrations.AddConstraint("posting", models.CheckConstraint(condition=~models.Q(amount=0), name="posting_not_zero")),
        migrations.AddConstraint("hold", models.CheckConstraint(condition=models.Q(amount__gt=0), name="hold_positive")),
        migrations.RunSQL(
            KEYS, "ALTER TABLE wallets_posting DROP CONSTRAINT posting_on_account, DROP CONSTRAINT posting_of_entry;"
        ),
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER {name} {definition}; ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name};",
                f"DROP TRIGGER {name} ON {table};",
            )
            for (table, name), definition in TRIGGERS.items()
        ),
        migrations.RunSQL(STORAGE, migrations.RunSQL.noop),
    ]
