"""Default deny for pages: whoever is not signed in is sent to the sign-in page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.http import urlencode


class SignedIn(LoginRequiredMiddleware):
    """Django's, with two differences: public views don't load the session (a probe must answer without the database),
    and a live refresh of a page whose session has ended takes the whole page to the sign-in, not a fragment of it."""

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        if not getattr(view_func, "login_required", True):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)

    def get_login_url(self, view_func: Callable[..., Any]) -> str:
        return settings.LOGIN_URL  # one way in, for Django's admin too: it counts failures and audits

    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseBase:
        if request.headers.get("HX-Request") != "true":
            return super().handle_no_permission(request, view_func)
        page = urlsplit(request.headers.get("HX-Current-URL", ""))
        query = f"?{page.query}" if page.query else ""
        target = f"{settings.LOGIN_URL}?{urlencode({'next': (page.path or '/') + query})}"
        return HttpResponse(status=401, headers={"HX-Redirect": target, "WWW-Authenticate": "Session"})
