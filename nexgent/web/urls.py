"""Routes of the pages."""

from django.urls import path
from django.views.generic import RedirectView

from nexgent.web import account, beginnings, newcomers, sign_in, views

_OLD_PAGES = ("general", "agent-profile", "performance-overview", "trade-signals", "transactions", "wallet")

urlpatterns = [
    path("", views.home, name="portfolio"),
    path("live/summary/", views.summary, name="summary"),
    path("live/prices/", views.price_times, name="price_times"),
    path("positions/<uuid:position_id>/close/", views.close_position, name="close_position"),
    path("setup/agent/", views.first_agent, name="first_agent"),
    path("setup/money/<uuid:agent_id>/", beginnings.add_money, name="add_money"),
    path("setup/entries/<uuid:agent_id>/", beginnings.turn_on, name="turn_on"),
    path("setup/key/", views.signal_key, name="signal_key"),
    path("sign-in/", sign_in.sign_in, name="sign_in"),
    path("sign-in/code/", sign_in.second_factor, name="second_factor"),
    path("sign-in/passkey/", sign_in.passkey, name="passkey"),
    path("sign-in/passkey/options/", sign_in.passkey_options, name="passkey_options"),
    path("sign-out/", sign_in.sign_out, name="sign_out"),
    path("register/", newcomers.register, name="register"),
    path("invitation/", newcomers.invitation, name="invitation"),
    path("invitation/<str:secret>/", newcomers.invitation, name="invitation_link"),
    path("reset/", newcomers.reset, name="reset"),
    path("reset/new/", newcomers.reset_use, name="reset_use"),
    path("reset/<str:secret>/", newcomers.reset_use, name="reset_link"),
    path("password/", account.password, name="password"),
    path("account/", account.account, name="account"),
    path("account/confirm/", account.confirm, name="confirm"),
    path("account/app/", account.app, name="app"),
    path("account/codes/", account.codes, name="codes"),
    path("account/codes/new/", account.codes_renew, name="codes_renew"),
    path("account/passkeys/", account.passkey_add, name="passkey_add"),
    path("account/passkeys/options/", account.passkey_offer, name="passkey_offer"),
    path("account/factors/<uuid:factor_id>/remove/", account.factor_remove, name="factor_remove"),
    path("account/sessions/end/", account.sessions_end, name="sessions_end"),
    path("account/sessions/<uuid:session_id>/end/", account.session_end, name="session_end"),
    path("account/email/", account.email, name="email"),
    path("account/email/<str:secret>/", account.email_use, name="email_link"),
    *(path(f"dashboard/{name}", RedirectView.as_view(pattern_name="portfolio")) for name in _OLD_PAGES),
    path("dashboard", RedirectView.as_view(pattern_name="portfolio")),
]
