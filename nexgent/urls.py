"""Routes of all apps in one place."""

from django.contrib import admin
from django.urls import include, path

from agents import selectors as agent_selectors
from agents.api import agents, balances, config, live
from agents.api import wallets as agent_wallets
from nexgent.accounts import alarms_api, audit_api, grants_api
from nexgent.accounts import api as accounts
from nexgent.api import pages as description
from prices import api as prices
from signals import api as signals
from trading import services as trading
from trading.api import history, order_list, orders, performance, positions, trades, transactions

handler400 = "nexgent.api.errors.handler400"
handler403 = "nexgent.api.errors.handler403"
handler404 = "nexgent.api.errors.handler404"
handler500 = "nexgent.api.errors.handler500"

API = "api/v1/"
urlpatterns = [
    path(API + "trading-signals", signals.Signals.as_view()),
    path(API + "trading-signals/<str:signal_id>", signals.OneSignal.as_view()),
    path(API + "trading-signals/<str:signal_id>/executions", signals.Executions.as_view()),
    path(API + "auth/login", accounts.Login.as_view()),
    path(API + "auth/refresh", accounts.Refresh.as_view()),
    path(API + "auth/logout", accounts.Logout.as_view()),
    path(API + "auth/me", accounts.Me.as_view()),
    path(API + "api-keys", accounts.Keys.as_view()),
    path(API + "api-keys/<str:key_id>", accounts.Key.as_view()),
    path(API + "alarms", alarms_api.Alarms.as_view()),
    path(API + "audit-log", audit_api.AuditLog.as_view()),
    path(API + "workspaces/<str:workspace_id>/members", grants_api.Members.as_view()),
    path(API + "workspaces/<str:workspace_id>/members/<str:user_id>", grants_api.Member.as_view()),
    path(
        API + "workspaces/<str:workspace_id>/members/<str:user_id>/grants",
        grants_api.Grants.as_view(agents_of=agent_selectors.ids),
    ),
    path(API + "agents", agents.Agents.as_view()),
    path(API + "agents/<str:agent_id>", agents.OneAgent.as_view()),
    path(API + "agents/<str:agent_id>/config", config.Config.as_view(apply_to_open=trading.apply_to_open_positions)),
    path(API + "agents/<str:agent_id>/config/versions", config.Versions.as_view()),
    path(API + "agents/<str:agent_id>/config/versions/<int:number>", config.Version.as_view()),
    path(API + "agents/<str:agent_id>/positions", positions.AgentPositions.as_view()),
    path(API + "agents/<str:agent_id>/positions/<str:position_id>/write-off", trades.WriteOff.as_view()),
    path(API + "agents/<str:agent_id>/performance", performance.Performance.as_view()),
    path(API + "agents/<str:agent_id>/balance-history", performance.BalanceHistory.as_view()),
    path(API + "agent-positions/<str:agent_id>", positions.AgentPositions.as_view()),
    path(API + "agent-positions/<str:agent_id>/take-profit-summary", positions.LadderSummary.as_view()),
    path(API + "agent-positions/<str:agent_id>/<str:position_id>/close", trades.Close.as_view()),
    path(API + "trades/execute", trades.Execute.as_view(signal_exists=signals.exists)),
    path(API + "orders", order_list.Orders.as_view()),
    path(API + "orders/<str:order_id>", orders.OneOrder.as_view()),
    path(API + "agent-balances", balances.Balances.as_view()),
    path(API + "agent-balances/<str:balance_id>", balances.OneBalance.as_view()),
    path(API + "agent-transactions", transactions.Transactions.as_view(signal_exists=signals.exists)),
    path(API + "agent-transactions/<str:transaction_id>", transactions.OneTransaction.as_view()),
    path(API + "agent-historical-swaps", history.Swaps.as_view()),
    path(API + "agent-historical-swaps/<str:swap_id>", history.OneSwap.as_view()),
    path(API + "wallets/agent/<str:agent_id>", agent_wallets.AgentWallets.as_view()),
    path(API + "ws-tickets", live.Tickets.as_view()),
    path(API + "stream/positions", live.Positions.as_view()),
    path(API + "stream/trades", live.Trades.as_view()),
    path(API + "stream/portfolio", live.Portfolio.as_view()),
    path(API + "stream/signals", live.Signals.as_view()),
    path(API + "price-feeds/sol-usd", prices.SolUsd.as_view()),
    path(API + "openapi.json", description.openapi),
    path(API + "docs", description.docs),
    path("", include("nexgent.runtime.urls")),
    path("admin/", admin.site.urls),
    path("", include("nexgent.web.urls")),
]
