"""Signing in and out, one's own password and API tokens."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.views import LoginView
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from console.accounts import actions, audit
from console.accounts.actor import actor_of, session_actor
from console.accounts.forms import SignInForm, TokenForm
from console.accounts.models import ApiToken, User
from console.accounts.roles import Role

LISTED = 200


class SignIn(LoginView):
    """The one way in. `next` is followed only within this console; the session gets a new key (Django's login)."""

    template_name = "accounts/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_template_names(self) -> list[str]:
        """Whoever comes by the link in a page is on a phone, perhaps on a bad network: a page of a few kB for them."""
        paged = self.get_redirect_url().startswith("/i/")
        return ["accounts/login_brief.html"] if paged else [self.template_name]

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_valid(form)
        user = form.get_user()
        if isinstance(user, User):
            audit.record(session_actor(self.request, user), "sign-in", user.username)
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        wait_s = getattr(form, "wait_s", 0.0)
        response = self.render_to_response(self.get_context_data(form=form))
        response.status_code = HTTPStatus.TOO_MANY_REQUESTS if wait_s else HTTPStatus.UNPROCESSABLE_ENTITY
        if wait_s:
            response.headers["Retry-After"] = str(int(wait_s) + 1)
        return response


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    logout(request)
    audit.record(actor, "sign-out", actor.name)
    return redirect(settings.LOGOUT_REDIRECT_URL)


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """One's own password: asks for the old one, ends every other session."""
    user = _user(request)
    form = PasswordChangeForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        actions.set_password(actor_of(request), user, form.cleaned_data["new_password1"])
        update_session_auth_hash(request, user)
        messages.success(request, "Your password is changed; your other sessions have ended.")
        return redirect("/")
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "accounts/password.html", {"form": form}, status=status)


@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """One's own API tokens (an admin sees everybody's). A new one's text is in this one answer and nowhere else."""
    user, now = _user(request), timezone.now()
    form, text = TokenForm(request.POST or None, user=user), ""
    if request.method == "POST" and form.is_valid():
        role, life = Role(form.cleaned_data["role"]), form.expires_in
        _, text = actions.create_token(
            actor_of(request), user, role, form.cleaned_data["name"], now, now + life if life else None
        )
        form = TokenForm(user=user)
    found = list(_visible(user).order_by(F("revoked_at").desc(nulls_first=True), "-created_at", "-pk")[: LISTED + 1])
    context: dict[str, Any] = {
        "form": form,
        "text": text,
        "rows": [_row(token, now) for token in found[:LISTED]],
        "more": len(found) > LISTED,
        "everybody": user.can_administer,
        "now": now,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "accounts/tokens.html", context, status=status)


@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    token = get_object_or_404(_visible(_user(request)), pk=pk)
    if actions.revoke_token(actor_of(request), token, timezone.now()):
        messages.success(request, f"The token {token.name} is revoked.")
    return redirect("accounts:tokens")


def _visible(user: User) -> QuerySet[ApiToken]:
    everybody = ApiToken.objects.select_related("user")
    return everybody if user.can_administer else everybody.filter(user=user)


def _row(token: ApiToken, now: datetime) -> dict[str, Any]:
    return {"token": token, "state": token.state(now), "role": token.effective_role}


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):  # not reached: SignedIn sends anonymous requests away
        raise Http404
    return request.user
