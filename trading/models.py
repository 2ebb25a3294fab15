"""Orders, fills and positions: what was intended, what happened, what is held."""

from django.db import models

from nexgent.ids import uuid7
from nexgent.rows import PriceField, UnitsField


class Side(models.IntegerChoices):
    BUY = 0, "buy"
    SELL = 1, "sell"


class Purpose(models.IntegerChoices):
    """Why an order exists; the label is the reason used in the database, the UI, the API and the statistics."""

    ENTRY = 0, "entry"
    DCA = 1, "dca"
    STOP_LOSS = 2, "stop_loss"
    TAKE_PROFIT = 3, "take_profit"
    STALE_TRADE = 4, "stale_trade"
    MANUAL = 5, "manual"
    SIGNAL = 6, "signal"
    TAPE_END = 7, "tape_end"


class State(models.IntegerChoices):
    PLANNED = 0, "planned"
    QUOTED = 1, "quoted"
    SUBMITTED = 2, "submitted"
    FILLED = 3, "filled"
    FAILED = 4, "failed"
    CANCELLED = 5, "cancelled"


OPEN_STATES = (State.PLANNED, State.QUOTED, State.SUBMITTED)
TRANSITIONS: dict[State, frozenset[State]] = {
    State.PLANNED: frozenset({State.QUOTED, State.SUBMITTED, State.FILLED, State.FAILED, State.CANCELLED}),
    State.QUOTED: frozenset({State.PLANNED, State.SUBMITTED, State.FILLED, State.FAILED, State.CANCELLED}),
    State.SUBMITTED: frozenset({State.PLANNED, State.FILLED, State.FAILED}),
    State.FILLED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


class Position(models.Model):
    """Tokens of one mint held by one wallet for one agent, from the first fill to the last.

    Amounts are token base units and lamports. Every committed change raises `version`; the price engine follows it.
    Peak, stop and low live in `Watermark`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace_id = models.UUIDField()
    agent = models.ForeignKey("agents.Agent", models.PROTECT, db_index=False, related_name="positions")
    wallet = models.ForeignKey("wallets.Wallet", models.PROTECT, db_index=False, related_name="positions")
    token = models.ForeignKey(
        "prices.Token", models.PROTECT, db_column="mint", db_index=False, related_name="positions"
    )
    config = models.ForeignKey("agents.ConfigVersion", models.PROTECT, db_index=False, related_name="+")
    override = models.JSONField(null=True, blank=True)
    """Stop and ladder pinned for this position, in wire names: {"stopLoss": {...}, "takeProfit": {...}}."""
    symbol = models.CharField(max_length=50, blank=True)
    decimals = models.SmallIntegerField()
    profile = models.CharField(max_length=10)
    seed = models.BigIntegerField(default=0)
    """Seed of the entry order; every later order of the position derives its own from it."""
    signal_id = models.BigIntegerField(null=True, blank=True)
    opened_by_id = models.UUIDField()
    version = models.IntegerField(default=1)
    generation = models.IntegerField(default=1)

    average = PriceField()
    bought_units = UnitsField()
    remaining_units = UnitsField()
    invested_lamports = UnitsField()
    cost_lamports = UnitsField()
    received_lamports = UnitsField(default=0)
    realised_lamports = UnitsField(default=0)
    rent_lamports = UnitsField(default=0)

    dca_count = models.SmallIntegerField(default=0)
    last_dca_at = models.DateTimeField(null=True, blank=True)
    dca_not_before = models.DateTimeField(null=True, blank=True)
    levels_hit = models.SmallIntegerField(default=0)
    batch_start = models.SmallIntegerField(default=0)
    total_levels = models.SmallIntegerField(null=True, blank=True)
    last_take_profit_at = models.DateTimeField(null=True, blank=True)
    moon_bag_active = models.BooleanField(default=False)
    moon_bag_units = UnitsField(null=True)
    exit_not_before = models.DateTimeField(null=True, blank=True)
    """Set after a failed exit: min(2^k, 30) s for k failures in a row."""
    exit_failures = models.SmallIntegerField(default=0)

    opened_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    untradable_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    close_reason = models.CharField(max_length=12, blank=True, default="", db_default="")
    sol_usd_at_close = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["agent", "-id"], name="position_agent"),
            models.Index(fields=["agent"], name="position_open", condition=models.Q(closed_at__isnull=True)),
            models.Index(
                fields=["agent", "-closed_at"], name="position_closed", condition=models.Q(closed_at__isnull=False)
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["wallet", "token"], name="position_one_open", condition=models.Q(closed_at__isnull=True)
            )
        ]


class Watermark(models.Model):
    """The extremes a position has seen since its last re-base (DCA fill or pinned stop), written once a second.

    A narrow table of its own (fillfactor 50, no other index), so that 10,000 rows a second cause no bloat.
    """

    position = models.OneToOneField(Position, models.PROTECT, primary_key=True, related_name="watermark")
    generation = models.IntegerField()
    peak = PriceField()
    stop_percent = models.DecimalField(max_digits=48, decimal_places=24)
    low = PriceField()
    at = models.DateTimeField()


class Order(models.Model):
    """The intent to trade, committed before anything leaves the process, with the decision that led to it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key = models.UUIDField()
    """UUIDv5 of `key_text`: agent + signal, position + purpose + ordinal, or principal + Idempotency-Key."""
    key_text = models.CharField(max_length=300)
    workspace_id = models.UUIDField()
    agent = models.ForeignKey("agents.Agent", models.PROTECT, db_index=False, related_name="orders")
    wallet = models.ForeignKey("wallets.Wallet", models.PROTECT, db_index=False, related_name="orders")
    token = models.ForeignKey("prices.Token", models.PROTECT, db_column="mint", db_index=False, related_name="+")
    position = models.ForeignKey(Position, models.PROTECT, null=True, db_index=False, related_name="orders")
    config = models.ForeignKey("agents.ConfigVersion", models.PROTECT, db_index=False, related_name="+")
    signal_id = models.BigIntegerField(null=True, blank=True)
    signal_type = models.CharField(max_length=50, blank=True, default="", db_default="")

    side = models.SmallIntegerField(choices=Side)
    purpose = models.SmallIntegerField(choices=Purpose)
    ordinal = models.IntegerField(default=0)
    state = models.SmallIntegerField(choices=State, default=State.PLANNED)
    amount = UnitsField()
    """What goes in: lamports of a buy, token base units of a sell."""
    plan = models.JSONField(default=dict)
    """The rest of the decision: reason, levels, moonBagUnits, isFull, part, parts."""
    price = PriceField(null=True)
    """The tick the decision rests on, with its time and source."""
    price_at = models.DateTimeField(null=True)
    price_source = models.CharField(max_length=20, blank=True, default="", db_default="")
    peak = PriceField(null=True)
    stop_percent = models.DecimalField(max_digits=48, decimal_places=24, null=True)
    profile = models.CharField(max_length=10)
    seed = models.BigIntegerField(default=0)

    quote = models.JSONField(null=True)
    error_code = models.CharField(max_length=40, blank=True, default="", db_default="")
    error_detail = models.JSONField(null=True)
    stages = models.JSONField(default=dict)
    """Stage stamps, ISO times: received, verdict, order_committed, quoted, submitted, filled, published."""
    not_before = models.DateTimeField(null=True, blank=True)
    """Set on the retry of a failed exit: nobody claims it earlier."""
    lease_owner = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True)
    lands_at = models.DateTimeField(null=True, blank=True)
    """A submitted order of the simulated venue lands then (realistic profile)."""
    created_at = models.DateTimeField()
    final_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["agent", "-id"], name="order_agent"),
            models.Index(fields=["position", "purpose"], name="order_position"),
            models.Index(fields=["side", "created_at"], name="order_open", condition=models.Q(state__lt=3)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["key"], name="order_key"),
            models.UniqueConstraint(
                fields=["position", "side"],
                name="order_one_open",
                condition=models.Q(state__lt=3, position__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["wallet", "token"], name="order_one_entry", condition=models.Q(state__lt=3, purpose=0)
            ),
        ]


class Attempt(models.Model):
    """One signed transaction of a live order (none in simulation)."""

    class State(models.IntegerChoices):
        SIGNED = 0, "signed"
        OK = 1, "ok"
        ERR = 2, "err"
        DEAD = 3, "dead"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    order = models.ForeignKey(Order, models.PROTECT, related_name="attempts")
    signature = models.CharField(max_length=90)
    state = models.SmallIntegerField(choices=State, default=State.SIGNED)
    last_valid_block_height = models.BigIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["signature"], name="attempt_signature"),
            models.UniqueConstraint(fields=["order"], name="attempt_one_signed", condition=models.Q(state=0)),
        ]


class Fill(models.Model):
    """What an order exchanged, exactly. Lamports and token base units."""

    order = models.OneToOneField(Order, models.PROTECT, primary_key=True, related_name="fill")
    amount_in = UnitsField()
    amount_out = UnitsField()
    protocol_fee_lamports = UnitsField(default=0)
    network_fee_lamports = UnitsField(default=0)
    rent_lamports = UnitsField(default=0)
    price = PriceField()
    price_impact = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    cost_lamports = UnitsField(default=0)
    realised_lamports = UnitsField(default=0)
    sol_usd = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    at = models.DateTimeField()


class ProtectionLock(models.Model):
    """A pause of entries that a protection called; a person can lift it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    agent = models.ForeignKey("agents.Agent", models.PROTECT, related_name="protection_locks")
    mint = models.CharField(max_length=44, blank=True)
    protection = models.CharField(max_length=20)
    reason = models.TextField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=255, blank=True)


class PortfolioSnapshot(models.Model):
    """Hourly value of one wallet of one agent, in lamports; the time is floored to the UTC hour."""

    agent = models.ForeignKey("agents.Agent", models.PROTECT, related_name="snapshots")
    wallet = models.ForeignKey("wallets.Wallet", models.PROTECT, db_index=False, related_name="+")
    at = models.DateTimeField()
    equity_lamports = UnitsField()
    sol_lamports = UnitsField()
    positions_lamports = UnitsField()
    unrealised_lamports = UnitsField()
    unpriced_positions = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "wallet", "at"], name="snapshot_once")]


class EngineState(models.Model):
    """What the active engine says of itself, once a second, on the database's clock. One row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    owner = models.UUIDField()
    watched = models.IntegerField()
    loaded_at = models.DateTimeField()
    beat_at = models.DateTimeField()
