"""Admin of accounts. A person is made and changed through services; secrets are never shown, history is read-only."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from nexgent.accounts import audit_admin as audit_admin
from nexgent.accounts.models import (
    ApiKey,
    Invitation,
    KeyUse,
    Letter,
    LoginGuard,
    MailedLink,
    Membership,
    RevokedToken,
    TokenSession,
    User,
    Workspace,
)
from nexgent.api.read_only_admin import ReadOnly
from nexgent.events import control

# Second factors are looked at here, never made: allauth's own page would show and take their secrets.
admin.site.unregister([Authenticator, EmailAddress])


class Memberships(admin.TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ("workspace",)


@admin.register(User)
class UserAdmin(ModelAdmin):
    """The password is set at sign-in or by command, never here: its hash is not a field of a form."""

    list_display = ("email", "is_active", "is_staff", "is_superuser", "last_login", "created_at")
    list_filter = ("is_active", "is_staff", "is_superuser", "must_change_password")
    search_fields = ("email", "id")
    ordering = ("email",)
    fields = (
        "id",
        "email",
        "is_active",
        "is_staff",
        "is_superuser",
        "must_change_password",
        "groups",
        "user_permissions",
        "last_login",
        "created_at",
    )
    readonly_fields = ("id", "email", "last_login", "created_at")
    filter_horizontal = ("groups", "user_permissions")
    inlines = (Memberships,)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Who may not go on as before loses open sockets and streams at once."""
        super().save_model(request, obj, form, change)
        if {"must_change_password", "is_active"} & set(form.changed_data):
            control.sign_out(obj.pk)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False


@admin.register(Workspace)
class WorkspaceAdmin(ModelAdmin):
    list_display = ("name", "id", "created_at")
    search_fields = ("name", "id", "memberships__user__email")
    readonly_fields = ("id", "created_at")

    def has_delete_permission(self, request: HttpRequest, obj: Workspace | None = None) -> bool:
        return False


@admin.register(Membership)
class MembershipAdmin(ModelAdmin):
    list_display = ("user", "workspace", "role")
    list_filter = ("role",)
    search_fields = ("user__email", "workspace__name")
    autocomplete_fields = ("user", "workspace")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnly, ModelAdmin):
    list_display = ("name", "prefix", "user", "workspace", "scopes", "created_at", "expires_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), ("expires_at", admin.EmptyFieldListFilter), "created_at")
    search_fields = ("name", "prefix", "user__email", "id")
    exclude = ("key_hash", "previous_hash", "signing_secret", "previous_signing_secret")


@admin.register(KeyUse)
class KeyUseAdmin(ReadOnly, ModelAdmin):
    list_display = ("key", "at", "address")
    list_filter = ("at",)
    search_fields = ("key__name", "key__prefix", "address")


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnly, ModelAdmin):
    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    search_fields = ("user__email",)
    exclude = ("data",)


# Sessions of pages have no page here: their ids are what signs a person in.


@admin.register(Invitation)
class InvitationAdmin(ReadOnly, ModelAdmin):
    list_display = ("workspace", "role", "email", "invited_by", "created_at", "expires_at", "accepted_by", "revoked_at")
    list_filter = ("role", ("accepted_at", admin.EmptyFieldListFilter), ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("email", "workspace__name", "invited_by__email", "accepted_by__email")
    exclude = ("secret_hash",)


@admin.register(MailedLink)
class MailedLinkAdmin(ReadOnly, ModelAdmin):
    list_display = ("kind", "user", "email", "created_at", "expires_at", "used_at")
    list_filter = ("kind", ("used_at", admin.EmptyFieldListFilter))
    search_fields = ("user__email", "email")
    exclude = ("secret_hash",)


@admin.register(Letter)
class LetterAdmin(ReadOnly, ModelAdmin):
    """Letters that wait; those that left are gone. What an invitation says is not shown: it holds its link."""

    list_display = ("kind", "to", "created_at", "due_at", "attempts")
    list_filter = ("kind", "attempts")
    search_fields = ("to",)
    exclude = ("facts",)


@admin.register(TokenSession)
class TokenSessionAdmin(ReadOnly, ModelAdmin):
    list_display = ("user", "address", "user_agent", "created_at", "used_at", "expires_at", "revoked_at", "is_rotating")
    list_filter = ("is_rotating", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("user__email", "id")
    exclude = ("jti", "previous_jti")


@admin.register(RevokedToken)
class RevokedTokenAdmin(ReadOnly, ModelAdmin):
    list_display = ("jti", "expires_at")
    search_fields = ("jti",)


@admin.register(LoginGuard)
class LoginGuardAdmin(ReadOnly, ModelAdmin):
    list_display = ("email", "address", "failures", "locked_until", "at")
    list_filter = (("locked_until", admin.EmptyFieldListFilter),)
    search_fields = ("email", "address")
