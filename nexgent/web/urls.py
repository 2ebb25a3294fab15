"""Routes of the pages."""

from django.urls import path
from django.views.generic import RedirectView

from nexgent.web import sign_in, views

_OLD_PAGES = ("general", "agent-profile", "performance-overview", "trade-signals", "transactions", "wallet")

urlpatterns = [
    path("", views.home, name="portfolio"),
    path("live/summary/", views.summary, name="summary"),
    path("live/prices/", views.price_times, name="price_times"),
    path("positions/<uuid:position_id>/close/", views.close_position, name="close_position"),
    path("setup/agent/", views.first_agent, name="first_agent"),
    path("setup/key/", views.signal_key, name="signal_key"),
    path("sign-in/", sign_in.sign_in, name="sign_in"),
    path("sign-out/", sign_in.sign_out, name="sign_out"),
    path("password/", sign_in.password, name="password"),
    *(path(f"dashboard/{name}", RedirectView.as_view(pattern_name="portfolio")) for name in _OLD_PAGES),
    path("dashboard", RedirectView.as_view(pattern_name="portfolio")),
]
