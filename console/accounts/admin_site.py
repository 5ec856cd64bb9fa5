"""Django's admin, for the role admin only and without a sign-in of its own."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from console.accounts.access import refuse
from console.accounts.actor import actor_of
from console.accounts.models import User
from console.accounts.roles import Role


class ConsoleAdminSite(AdminSite):
    site_header = site_title = "Quarterdeck admin"
    index_title = "Accounts and records"
    site_url = "/"

    def has_permission(self, request: HttpRequest) -> bool:
        user: User | AnonymousUser = request.user
        return isinstance(user, User) and user.can_administer

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Where the admin sends those it doesn't let in: a viewer is told why, the others go to our sign-in."""
        if isinstance(request.user, User):
            if self.has_permission(request):
                return HttpResponseRedirect("/admin/")
            return refuse(request, Role.ADMIN, actor_of(request).role)
        return redirect_to_login("/admin/", settings.LOGIN_URL)

    def logout(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        from console.accounts.views import sign_out  # the admin site is made before the apps are ready

        return sign_out(request)

    def password_change(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse("accounts:password"))  # which audits it
