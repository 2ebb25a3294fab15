"""Admin of accounts. A person is made and changed through services; secrets are never shown, history is read-only."""

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from nexgent.accounts import audit_admin as audit_admin
from nexgent.accounts.models import ApiKey, LoginGuard, Membership, RevokedToken, TokenSession, User, Workspace
from nexgent.api.read_only_admin import ReadOnly


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
    list_display = ("name", "prefix", "user", "workspace", "scopes", "created_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "created_at")
    search_fields = ("name", "prefix", "user__email", "id")
    exclude = ("key_hash",)


@admin.register(TokenSession)
class TokenSessionAdmin(ReadOnly, ModelAdmin):
    list_display = ("user", "created_at", "expires_at", "revoked_at", "is_rotating")
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
