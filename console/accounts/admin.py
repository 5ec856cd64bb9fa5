"""Django's admin for accounts. No hash of a password or a token is ever shown here; nothing is deleted."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.forms import AdminUserCreationForm, SetPasswordForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from console.accounts.actions import LastAdmin, revoke_token, save_new_user, save_user, set_password
from console.accounts.actor import actor_of
from console.accounts.models import ApiToken, AuditEntry, User
from console.accounts.roles import Role

admin.site.unregister(Group)  # the role is the only authority


class NewUserForm(AdminUserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("username", "name", "role")


class UserForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("username", "name", "role", "is_active")

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        others = User.objects.filter(role=Role.ADMIN.value, is_active=True).exclude(pk=self.instance.pk)
        stays = self.cleaned_data.get("role") == Role.ADMIN and self.cleaned_data.get("is_active")
        if not stays and not others.exists():
            raise ValidationError(str(LastAdmin()))
        return cleaned


@admin.register(User)
class UserAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("username", "name", "role", "is_active", "last_login")
    list_filter = ("role", "is_active")
    search_fields = ("username", "name")
    readonly_fields = ("password_link", "last_login", "created_at")
    fields = ("username", "name", "role", "is_active", "password_link", "last_login", "created_at")

    @admin.display(description="password")
    def password_link(self, user: User) -> str:
        url = reverse("admin:accounts_user_password", args=[user.pk])
        return format_html('<a href="{}">{}</a>', url, "Set a new password")

    def get_form(self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change=change, **kwargs) if obj else NewUserForm

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return self.fields if obj else ("username", "name", "role", "usable_password", "password1", "password2")

    form = UserForm

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if change:
            save_user(actor_of(request), obj)
        else:
            save_new_user(actor_of(request), obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False  # switched off instead: the audit names them

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.password)
        return [path("<int:pk>/password/", view, name="accounts_user_password"), *super().get_urls()]

    def password(self, request: HttpRequest, pk: int) -> HttpResponse:
        user = User.objects.filter(pk=pk).first()
        if user is None:
            raise Http404
        form = SetPasswordForm(user, request.POST or None)
        if request.method == "POST" and form.is_valid():
            set_password(actor_of(request), user, form.cleaned_data["new_password1"])
            self.message_user(request, f"{user.username} has a new password; their sessions have ended.")
            return redirect("admin:accounts_user_change", pk)
        context = {
            **self.admin_site.each_context(request),
            "title": f"New password for {user.username}",
            "form": form,
            "opts": User._meta,
            "original": user,
        }
        return TemplateResponse(request, "admin/password.html", context)


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Seen and revoked here; made at /accounts/tokens/, where the text can be shown once."""

    list_display = ("name", "user", "role", "prefix", "state", "created_at", "expires_at", "last_used_at")
    list_filter = ("role", "user")
    search_fields = ("name", "user__username", "prefix")
    list_select_related = ("user",)
    fields = readonly_fields = (*list_display, "revoked_at")
    actions = ("revoke",)

    @admin.display
    def state(self, token: ApiToken) -> str:
        return token.state(timezone.now())

    @admin.action(description="Revoke the selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        now, by = timezone.now(), actor_of(request)
        ended = sum(revoke_token(by, token, now) for token in queryset.select_related("user"))
        self.message_user(request, f"{ended} revoked.", messages.SUCCESS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        return False


@admin.register(AuditEntry)
class AuditEntryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("seq", "at", "actor", "action", "target", "reason")
    list_filter = ("action",)
    search_fields = ("actor", "target")
    show_full_result_count = False
    fields = readonly_fields = (
        *("seq", "at", "actor", "via", "action", "target", "reason"),
        *("details", "ip", "request_id", "previous", "hash"),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False
