"""Routes of all apps in one place."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from agents import selectors as agent_selectors
from agents.api import agents, balances, config, live, versions
from agents.api import wallets as agent_wallets
from nexgent.accounts import (
    alarms_api,
    audit_api,
    grants_api,
    keys_api,
    passkeys_api,
    registration_api,
    sessions_api,
    step_up,
)
from nexgent.accounts import api as accounts
from nexgent.accounts import webhooks_api as webhooks
from nexgent.api import pages as description
from nexgent.runtime import echo
from nexgent.web import sign_in
from prices import api as prices
from prices import sources_api, tokens_api
from signals import api as signals
from signals import closing_api, hooks_api, verdicts_api
from signals import exports as signal_exports
from trading import lifecycle
from trading import services as trading
from trading.api import (
    closing,
    exports,
    history,
    order_list,
    orders,
    overrides,
    performance,
    positions,
    protections,
    quotes,
    statistics,
    trades,
    transactions,
    wallets,
)
from wallets import ledger_api

handler400 = "nexgent.web.failures.bad_request"
handler403 = "nexgent.web.failures.permission_denied"
handler404 = "nexgent.web.failures.page_not_found"
handler500 = "nexgent.web.failures.server_error"

API = "api/v1/"
urlpatterns = [
    path(API + "trading-signals", signals.Signals.as_view()),
    path(API + "trading-signals/export", signal_exports.Export.as_view()),
    path(API + "trading-signals/<str:signal_id>", signals.OneSignal.as_view()),
    path(API + "trading-signals/<str:signal_id>/executions", signals.Executions.as_view()),
    path(API + "auth/login", accounts.Login.as_view()),
    path(API + "auth/refresh", accounts.Refresh.as_view()),
    path(API + "auth/logout", accounts.Logout.as_view()),
    path(API + "auth/me", accounts.Me.as_view()),
    path(API + "auth/password", accounts.Password.as_view()),
    path(API + "auth/step-up", accounts.StepUp.as_view()),
    path(API + "auth/sessions", sessions_api.Sessions.as_view()),
    path(API + "auth/sessions/<str:session_id>", sessions_api.OneSession.as_view()),
    path(API + "auth/revoke-all", sessions_api.RevokeAll.as_view()),
    path(API + "auth/factors", sessions_api.Factors.as_view()),
    path(API + "auth/factors/totp", sessions_api.Totp.as_view()),
    path(API + "auth/factors/totp/offer", sessions_api.TotpOffer.as_view()),
    path(API + "auth/factors/recovery-codes", sessions_api.RecoveryCodes.as_view()),
    path(API + "auth/factors/passkeys", passkeys_api.Passkeys.as_view()),
    path(API + "auth/factors/passkeys/offer", passkeys_api.PasskeyOffer.as_view()),
    path(API + "auth/factors/<str:factor_id>", sessions_api.OneFactor.as_view()),
    path(API + "auth/register", registration_api.Register.as_view()),
    path(API + "auth/password-reset", registration_api.Reset.as_view()),
    path(API + "auth/password-reset/confirm", registration_api.ResetUse.as_view()),
    path(API + "auth/email", registration_api.Email.as_view()),
    path(API + "workspaces", registration_api.Workspaces.as_view()),
    path(API + "workspaces/<str:workspace_id>/choose", registration_api.Choose.as_view()),
    path(API + "workspaces/<str:workspace_id>/invitations", registration_api.Invitations.as_view()),
    path(
        API + "workspaces/<str:workspace_id>/invitations/<str:invitation_id>", registration_api.OneInvitation.as_view()
    ),
    path(API + "invitations/accept", registration_api.Accept.as_view()),
    path(API + "api-keys", keys_api.Keys.as_view()),
    path(API + "api-keys/presets", keys_api.Presets.as_view()),
    path(API + "api-keys/<str:key_id>", keys_api.Key.as_view()),
    path(API + "api-keys/<str:key_id>/rotate", keys_api.Rotate.as_view()),
    path(API + "alarms", alarms_api.Alarms.as_view()),
    path(API + "audit-log", audit_api.AuditLog.as_view()),
    path(API + "workspaces/<str:workspace_id>/members", grants_api.Members.as_view()),
    path(API + "workspaces/<str:workspace_id>/members/<str:user_id>", grants_api.Member.as_view()),
    path(
        API + "workspaces/<str:workspace_id>/members/<str:user_id>/grants",
        grants_api.Grants.as_view(agents_of=agent_selectors.ids),
    ),
    path(API + "agents", agents.Agents.as_view(step_up={"POST": step_up.turns_live})),
    path(
        API + "agents/<str:agent_id>",
        agents.OneAgent.as_view(
            archive=lifecycle.agent_archive,
            step_up={"PUT": step_up.turns_live, "PATCH": step_up.turns_live},
        ),
    ),
    path(API + "agents/<str:agent_id>/config", config.Config.as_view(apply_to_open=trading.apply_to_open_positions)),
    path(API + "agents/<str:agent_id>/config/versions", config.Versions.as_view()),
    path(API + "agents/<str:agent_id>/config/versions/<int:number>/diff", versions.Difference.as_view()),
    path(
        API + "agents/<str:agent_id>/config/versions/<int:number>/restore",
        versions.Restore.as_view(apply_to_open=trading.apply_to_open_positions),
    ),
    path(API + "agents/<str:agent_id>/verdicts", verdicts_api.Verdicts.as_view()),
    path(API + "agents/<str:agent_id>/config/versions/<int:number>", config.Version.as_view()),
    path(API + "agents/<str:agent_id>/positions", positions.AgentPositions.as_view()),
    path(API + "agents/<str:agent_id>/positions/close-all", closing.CloseAll.as_view()),
    path(API + "positions/close-by-ref", closing_api.CloseByReference.as_view()),
    path(API + "agents/<str:agent_id>/positions/<str:position_id>/write-off", trades.WriteOff.as_view()),
    path(API + "agents/<str:agent_id>/positions/<str:position_id>/override", overrides.Override.as_view()),
    path(API + "agents/<str:agent_id>/quote", quotes.Quote.as_view()),
    path(API + "agents/<str:agent_id>/protections", protections.Protections.as_view()),
    path(API + "agents/<str:agent_id>/protections/<str:lock_id>/lift", protections.Lift.as_view()),
    path(API + "agents/<str:agent_id>/statistics", statistics.Statistics.as_view()),
    path(API + "agents/<str:agent_id>/performance", performance.Performance.as_view()),
    path(API + "agents/<str:agent_id>/balance-history", performance.BalanceHistory.as_view()),
    path(API + "agent-positions/<str:agent_id>", positions.AgentPositions.as_view()),
    path(API + "agent-positions/<str:agent_id>/take-profit-summary", positions.LadderSummary.as_view()),
    path(API + "agent-positions/<str:agent_id>/<str:position_id>/close", trades.Close.as_view(is_unlimited=True)),
    path(API + "trades/execute", trades.Execute.as_view(signal_exists=signals.exists)),
    path(API + "orders", order_list.Orders.as_view()),
    path(API + "orders/<str:order_id>", orders.OneOrder.as_view()),
    path(API + "agent-balances", balances.Balances.as_view()),
    path(API + "agent-balances/<str:balance_id>", balances.OneBalance.as_view()),
    path(API + "agent-transactions", transactions.Transactions.as_view(signal_exists=signals.exists)),
    path(API + "agent-transactions/<str:transaction_id>", transactions.OneTransaction.as_view()),
    path(API + "agent-historical-swaps", history.Swaps.as_view()),
    path(API + "agent-historical-swaps/export", exports.Export.as_view(signal_texts=signal_exports.texts)),
    path(API + "agent-historical-swaps/<str:swap_id>", history.OneSwap.as_view()),
    path(API + "wallets/agent/<str:agent_id>", agent_wallets.AgentWallets.as_view()),
    path(API + "wallets/assign", wallets.Assign.as_view(step_up={"POST": step_up.always})),
    path(API + "wallets/<str:wallet_address>/reset", wallets.Reset.as_view(step_up={"POST": step_up.always})),
    path(API + "wallets/<str:wallet_address>/unassign", wallets.Unassign.as_view(step_up={"POST": step_up.always})),
    path(API + "wallets/<str:wallet_address>/check-deposits", wallets.CheckDeposits.as_view()),
    path(API + "ws-tickets", live.Tickets.as_view()),
    path(API + "stream/positions", live.Positions.as_view()),
    path(API + "stream/trades", live.Trades.as_view()),
    path(API + "stream/portfolio", live.Portfolio.as_view()),
    path(API + "stream/signals", live.Signals.as_view()),
    path(API + "ledger/entries", ledger_api.Entries.as_view()),
    path(API + "ledger/balances", ledger_api.Balances.as_view()),
    path(API + "tokens", tokens_api.Tokens.as_view()),
    path(API + "tokens/<str:token_address>", tokens_api.OneToken.as_view()),
    path(API + "tokens/<str:token_address>/candles", tokens_api.Candles.as_view()),
    path(API + "price-feeds/sol-usd", prices.SolUsd.as_view()),
    path(API + "data-sources/status", sources_api.Sources.as_view()),
    path(API + "signal-hooks", hooks_api.Hooks.as_view()),
    path(API + "signal-hooks/preview", hooks_api.Preview.as_view()),
    path(API + "signal-hooks/<str:hook_id>", hooks_api.OneHook.as_view()),
    path(API + "signal-hooks/<str:hook_id>/rotate", hooks_api.RotateHook.as_view()),
    path(API + "hooks/<str:hook_path>", hooks_api.Arrival.as_view()),
    path(API + "webhooks/test", echo.Echo.as_view()),
    path(API + "webhooks", webhooks.Webhooks.as_view()),
    path(API + "webhooks/<str:webhook_id>", webhooks.OneWebhook.as_view()),
    path(API + "webhooks/<str:webhook_id>/rotate", webhooks.RotateSecret.as_view()),
    path(API + "webhooks/<str:webhook_id>/ping", webhooks.Ping.as_view()),
    path(API + "webhooks/<str:webhook_id>/deliveries", webhooks.Deliveries.as_view()),
    path(API + "webhooks/<str:webhook_id>/deliveries/<str:delivery_id>", webhooks.OneDelivery.as_view()),
    path(API + "webhooks/<str:webhook_id>/deliveries/<str:delivery_id>/redeliver", webhooks.Redeliver.as_view()),
    path(API + "openapi.json", description.openapi),
    path(API + "docs", description.docs),
    path("", include("nexgent.runtime.urls")),
    # One way in and out for all: the admin's own forms know no second factor and end no sockets.
    path("admin/login/", sign_in.admin_sign_in),
    path("admin/logout/", sign_in.sign_out),
    path("admin/password_change/", RedirectView.as_view(pattern_name="password")),
    path("admin/", admin.site.urls),
    path("", include("nexgent.web.urls")),
]
