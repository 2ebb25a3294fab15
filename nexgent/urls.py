"""Routes of all apps in one place."""

from django.contrib import admin
from django.urls import include, path

from nexgent.accounts import api as accounts

handler400 = "nexgent.api.errors.handler400"
handler403 = "nexgent.api.errors.handler403"
handler404 = "nexgent.api.errors.handler404"
handler500 = "nexgent.api.errors.handler500"

API = "api/v1/"
urlpatterns = [
    path(API + "auth/login", accounts.Login.as_view()),
    path(API + "auth/refresh", accounts.Refresh.as_view()),
    path(API + "auth/logout", accounts.Logout.as_view()),
    path(API + "auth/me", accounts.Me.as_view()),
    path(API + "api-keys", accounts.Keys.as_view()),
    path(API + "api-keys/<str:key_id>", accounts.Key.as_view()),
    path("", include("nexgent.runtime.urls")),
    path("admin/", admin.site.urls),
]
