"""Wallets and their double-entry ledger.

Every movement is an entry; its postings sum to zero per asset. A balance is the sum of its postings: a trigger adds
them, and refuses entries that do not balance and every change of what was posted (`migrations/0002`). Counter-accounts
belong to the wallet, so that no two wallets wait for one row.
"""

from django.db import models

from nexgent.ids import uuid7
from nexgent.rows import PriceField, UnitsField


class Kind(models.TextChoices):
    SIMULATION = "simulation"
    LIVE = "live"


class Wallet(models.Model):
    """Where funds are held. The address is no key but an attribute; the row is the mutex of its accounts and holds."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="wallets")
    address = models.CharField(max_length=44)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.SIMULATION)
    epoch = models.IntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["address"], name="wallet_address")]

    def __str__(self) -> str:
        return self.address


class AccountKind(models.TextChoices):
    """`own` is what the wallet holds; the others are where it came from or went."""

    OWN = "own"
    EXTERNAL = "external"  # deposits and withdrawals
    MARKET = "market"  # the other side of swaps
    FEES = "fees"  # protocol and network fees paid
    RENT = "rent"  # refundable account deposits
    BURNED = "burned"  # written off
    ADJUSTMENT = "adjustment"  # corrections with a reason


class Account(models.Model):
    """What one wallet has, owes or gave of one asset; changed by postings and holds only."""

    pk = models.CompositePrimaryKey("wallet_id", "asset", "kind")
    wallet = models.ForeignKey(Wallet, models.PROTECT, db_index=False, related_name="accounts")
    asset = models.CharField(max_length=44)
    kind = models.CharField(max_length=10, choices=AccountKind)
    balance = UnitsField(default=0, db_default=0)
    held = UnitsField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(kind="own") | models.Q(balance__gte=models.F("held")), name="account_covered"
            ),
            models.CheckConstraint(condition=models.Q(held__gte=0), name="account_held_positive"),
        ]


class EntryKind(models.TextChoices):
    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"
    SWAP = "SWAP"
    BURN = "BURN"
    ADJUSTMENT = "ADJUSTMENT"


class Entry(models.Model):
    """One balanced movement. `order_id` is a fact: orders live in a layer above."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    wallet = models.ForeignKey(Wallet, models.PROTECT, db_index=False, related_name="entries")
    kind = models.CharField(max_length=10, choices=EntryKind)
    order_id = models.UUIDField(null=True, blank=True)
    epoch = models.IntegerField(default=1)
    reason = models.TextField(blank=True, default="", db_default="")
    author = models.CharField(max_length=80, blank=True, default="", db_default="")
    sol_usd = PriceField(null=True, blank=True)
    """USD per SOL when it was posted, of what people post; a swap's stands on its fill."""
    destination = models.CharField(max_length=255, blank=True, default="", db_default="")
    """Where a withdrawal went, in the words of who posted it."""
    at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "entries"
        constraints = [
            models.UniqueConstraint(fields=["wallet", "id"], name="entry_wallet"),  # postings refer to this pair
            models.UniqueConstraint(
                fields=["order_id"], name="entry_order_once", condition=models.Q(order_id__isnull=False)
            ),
        ]


class Posting(models.Model):
    """One line of an entry: a signed amount on one account of the entry's wallet.

    Lines count from 0 and come in one statement per entry. Two composite foreign keys of `migrations/0002` tie a line
    to its entry's wallet and to its account, in place of the ones Django would make.
    """

    pk = models.CompositePrimaryKey("entry_id", "line")
    entry = models.ForeignKey(Entry, models.PROTECT, db_index=False, db_constraint=False, related_name="postings")
    line = models.SmallIntegerField()
    wallet = models.ForeignKey(Wallet, models.PROTECT, db_index=False, db_constraint=False, related_name="+")
    asset = models.CharField(max_length=44)
    kind = models.CharField(max_length=10, choices=AccountKind)
    amount = UnitsField()

    class Meta:
        indexes = [models.Index(fields=["wallet", "asset", "kind", "entry"], name="posting_account")]
        constraints = [models.CheckConstraint(condition=~models.Q(amount=0), name="posting_not_zero")]


class Hold(models.Model):
    """Funds set aside for an order that is not final; the sum per account equals `Account.held`."""

    order_id = models.UUIDField(primary_key=True)
    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="holds")
    asset = models.CharField(max_length=44)
    amount = UnitsField()
    at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(amount__gt=0), name="hold_positive")]


class AccountRow(models.Model):
    """An account as the admin reads it: Django's admin cannot address a composite primary key."""

    id = models.TextField(primary_key=True)
    wallet = models.ForeignKey(Wallet, models.DO_NOTHING, db_constraint=False, related_name="+")
    asset = models.CharField(max_length=44)
    kind = models.CharField(max_length=10, choices=AccountKind)
    balance = UnitsField()
    held = UnitsField()

    class Meta:
        managed = False
        db_table = "wallets_account_view"
        verbose_name = "account"

    def __str__(self) -> str:
        return f"{self.kind} {self.asset}"


class PostingRow(models.Model):
    """A posting as the admin reads it, for the same reason."""

    id = models.TextField(primary_key=True)
    entry = models.ForeignKey(Entry, models.DO_NOTHING, db_constraint=False, related_name="+")
    line = models.SmallIntegerField()
    wallet = models.ForeignKey(Wallet, models.DO_NOTHING, db_constraint=False, related_name="+")
    asset = models.CharField(max_length=44)
    kind = models.CharField(max_length=10, choices=AccountKind)
    amount = UnitsField()

    class Meta:
        managed = False
        db_table = "wallets_posting_view"
        verbose_name = "posting"
        ordering = ["entry", "line"]

    def __str__(self) -> str:
        return f"{self.kind} {self.asset} {self.amount}"
