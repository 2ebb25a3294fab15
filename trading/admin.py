"""Orders, fills and positions for people who operate the product: history is read, never edited.

What may be done is done by the services: sell a position, lift a protection, archive an agent, end its use of a wallet
or reset that. Agents and assignments get those actions here, because the layer of agents knows nothing of positions.
"""

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from agents.admin import AgentAdmin, AssignmentAdmin
from agents.models import Agent, Assignment
from nexgent import money
from nexgent.api.read_only_admin import ReadOnly
from nexgent.errors import Refusal
from trading import lifecycle, services
from trading.models import (
    Attempt,
    Fill,
    Order,
    PortfolioSnapshot,
    Position,
    ProtectionLock,
    Watermark,
)

RESET_SECONDS = 5.0
"""A person waits for the page so long; what is not sold by then goes on."""
_IS_OPEN = ("closed_at", admin.EmptyFieldListFilter)


def _sol(lamports: int | None) -> str:
    """Lamports as SOL in plain notation."""
    return "–" if lamports is None else f"{money.text(money.sol(lamports))} SOL"


def _each(page: ModelAdmin, request: HttpRequest, rows: Sequence[Any], act: Callable[[Any], str]) -> None:
    """Do `act` for each row and say what became of it; a refusal is shown and stops nobody else."""
    for row in rows:
        try:
            page.message_user(request, f"{row}: {act(row)}", messages.SUCCESS)
        except Refusal as refusal:
            page.message_user(request, f"{row}: {refusal.message}", messages.WARNING)


class WatermarkInline(ReadOnly, TabularInline):
    model = Watermark
    fields = ("generation", "peak", "stop_percent", "low", "at")


class OrderInline(ReadOnly, TabularInline):
    model = Order
    fields = ("purpose", "ordinal", "side", "state", "amount", "price", "error_code", "created_at", "final_at")
    ordering = ("-id",)
    show_change_link = True


class AttemptInline(ReadOnly, TabularInline):
    model = Attempt
    fields = ("signature", "state", "last_valid_block_height", "created_at")


class FillInline(ReadOnly, TabularInline):
    model = Fill
    fields = (
        "amount_in",
        "amount_out",
        "price",
        "price_impact",
        "protocol_fee_lamports",
        "network_fee_lamports",
        "rent_lamports",
        "at",
    )


@admin.register(Position)
class PositionAdmin(ReadOnly, ModelAdmin):
    list_display = (
        "symbol",
        "token_id",
        "agent",
        "cost",
        "realised",
        "dca_count",
        "levels_hit",
        "opened_at",
        "closed_at",
        "close_reason",
        "untradable_at",
    )
    list_filter = (
        _IS_OPEN,
        "close_reason",
        "profile",
        "moon_bag_active",
        ("untradable_at", admin.EmptyFieldListFilter),
        "opened_at",
    )
    list_select_related = ("agent",)
    search_fields = ("=id", "symbol", "=token__mint", "agent__name", "=agent__id", "wallet__address")
    ordering = ("-id",)
    inlines = (WatermarkInline, OrderInline)
    actions = ("sell",)

    @admin.display(description="Cost", ordering="cost_lamports")
    def cost(self, row: Position) -> str:
        return _sol(row.cost_lamports)

    @admin.display(description="Realised", ordering="realised_lamports")
    def realised(self, row: Position) -> str:
        return _sol(row.realised_lamports)

    def has_trade_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("trading.change_position"))

    @admin.action(description="Sell the whole position now", permissions=["trade"])
    def sell(self, request: HttpRequest, queryset: QuerySet[Position]) -> None:
        def act(position: Position) -> str:
            order = services.position_close(position_id=position.id, principal=f"admin:{request.user.pk}")
            return f"sale planned, order {order}"

        _each(self, request, queryset.order_by("id"), act)


@admin.register(Order)
class OrderAdmin(ReadOnly, ModelAdmin):
    list_display = (
        "id",
        "created_at",
        "agent",
        "token_id",
        "side",
        "purpose",
        "ordinal",
        "state",
        "amount",
        "price",
        "price_source",
        "error_code",
    )
    list_filter = ("state", "side", "purpose", "profile", "price_source", "created_at")
    list_select_related = ("agent",)
    search_fields = (
        "=id",
        "=key_text",
        "=position__id",
        "=signal_id",
        "=token__mint",
        "agent__name",
        "=agent__id",
        "=error_code",
    )
    ordering = ("-id",)
    inlines = (FillInline, AttemptInline)


@admin.register(Attempt)
class AttemptAdmin(ReadOnly, ModelAdmin):
    list_display = ("signature", "order_id", "state", "last_valid_block_height", "created_at")
    list_filter = ("state", "created_at")
    search_fields = ("=signature", "=order__id")
    ordering = ("-id",)


@admin.register(Fill)
class FillAdmin(ReadOnly, ModelAdmin):
    list_display = ("order_id", "at", "amount_in", "amount_out", "price", "price_impact", "fees", "realised")
    list_filter = ("at",)
    search_fields = ("=order__id", "=order__token__mint", "order__agent__name")
    ordering = ("-order_id",)

    @admin.display(description="Fees")
    def fees(self, row: Fill) -> str:
        return _sol(row.protocol_fee_lamports + row.network_fee_lamports)

    @admin.display(description="Realised", ordering="realised_lamports")
    def realised(self, row: Fill) -> str:
        return _sol(row.realised_lamports)


@admin.register(Watermark)
class WatermarkAdmin(ReadOnly, ModelAdmin):
    list_display = ("position_id", "generation", "peak", "stop_percent", "low", "at")
    list_filter = ("at",)
    search_fields = ("=position__id", "=position__token__mint")
    ordering = ("-position_id",)


@admin.register(ProtectionLock)
class ProtectionLockAdmin(ReadOnly, ModelAdmin):
    list_display = ("agent", "protection", "mint", "reason", "starts_at", "ends_at", "lifted_at", "lifted_by")
    list_filter = ("protection", ("lifted_at", admin.EmptyFieldListFilter), "ends_at")
    list_select_related = ("agent",)
    search_fields = ("=id", "agent__name", "=agent__id", "=mint", "reason")
    ordering = ("-starts_at",)
    actions = ("lift",)

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("trading.change_protectionlock"))

    @admin.action(description="Lift: entries may go on", permissions=["lift"])
    def lift(self, request: HttpRequest, queryset: QuerySet[ProtectionLock]) -> None:
        def act(lock: ProtectionLock) -> str:
            services.protection_lift(lock_id=lock.id, author=request.user.get_username())
            return "lifted"

        _each(self, request, queryset.order_by("id"), act)


@admin.register(PortfolioSnapshot)
class PortfolioSnapshotAdmin(ReadOnly, ModelAdmin):
    list_display = ("agent", "wallet", "at", "equity", "positions", "unrealised", "unpriced_positions")
    list_filter = ("at",)
    list_select_related = ("agent", "wallet")
    search_fields = ("agent__name", "=agent__id", "wallet__address")
    ordering = ("-at",)

    @admin.display(description="Equity", ordering="equity_lamports")
    def equity(self, row: PortfolioSnapshot) -> str:
        return _sol(row.equity_lamports)

    @admin.display(description="Positions", ordering="positions_lamports")
    def positions(self, row: PortfolioSnapshot) -> str:
        return _sol(row.positions_lamports)

    @admin.display(description="Unrealised", ordering="unrealised_lamports")
    def unrealised(self, row: PortfolioSnapshot) -> str:
        return _sol(row.unrealised_lamports)


admin.site.unregister(Agent)
admin.site.unregister(Assignment)


@admin.register(Agent)
class TradingAgentAdmin(AgentAdmin):
    """The agents, with what also needs their positions."""

    actions = (*AgentAdmin.actions, "archive")

    @admin.action(description="Archive: positions are sold, the agent is gone for good", permissions=["switch"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        def act(agent: Agent) -> str:
            lifecycle.agent_archive(agent_id=agent.id)
            return "archived"

        _each(self, request, queryset.order_by("id"), act)


@admin.register(Assignment)
class TradingAssignmentAdmin(AssignmentAdmin):
    """The assignments, with what also needs the wallets' positions."""

    actions = ("end", "reset")

    def has_wallet_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("agents.change_assignment"))

    @admin.action(description="End: positions are sold, the wallet is free", permissions=["wallet"])
    def end(self, request: HttpRequest, queryset: QuerySet[Assignment]) -> None:
        def act(assignment: Assignment) -> str:
            lifecycle.unassign(agent_id=assignment.agent_id, wallet_id=assignment.wallet_id)
            return "ended"

        _each(self, request, queryset.order_by("id"), act)

    @admin.action(description="Reset the simulated wallet: positions are sold, it is emptied", permissions=["wallet"])
    def reset(self, request: HttpRequest, queryset: QuerySet[Assignment]) -> None:
        def act(assignment: Assignment) -> str:
            ended = lifecycle.wallet_reset(
                agent_id=assignment.agent_id,
                wallet_id=assignment.wallet_id,
                author=request.user.get_username(),
                wait_seconds=RESET_SECONDS,
            )
            return f"epoch {ended.epoch} ended with {ended.entries} ledger entries"

        _each(self, request, queryset.order_by("id"), act)
