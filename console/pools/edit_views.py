"""Editing a pool: a form that shows the consequence before it can be applied, and loses nothing when it is refused."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from console.accounts.access import require_role
from console.accounts.actor import actor_of
from console.operations import kinds
from console.operations.kinds import Invalid, Plan
from console.operations.models import Operation
from console.operations.submit import Conflict, Refused, submit
from console.pools.edit_kind import DEFAULT_POOL, KIND, Stale
from console.pools.models import PoolSnapshot


class PoolForm(forms.Form):
    """Names and limits are checked by the operation's own `clean`; this one only reads the fields."""

    name = forms.CharField(max_length=256, label="Name")
    slots = forms.IntegerField(min_value=-1, label="Slots", help_text="-1 for no limit.")
    description = forms.CharField(required=False, label="Description", max_length=4000)
    include_deferred = forms.BooleanField(required=False, label="Count deferred tasks too")
    until = forms.DateTimeField(
        required=False,
        label="Only until (UTC)",
        help_text="Leave it empty for good. At that time the pool goes back to what it is now.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    remove = forms.BooleanField(required=False, label="Remove this pool instead")
    override = forms.BooleanField(required=False, label="… even though it is in use")
    revision = forms.CharField(required=False, widget=forms.HiddenInput)


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, name: str = "") -> HttpResponse:
    """GET: the form, with `slots` of the address where it names them.

    POST without `plan`: the preflight of what was typed. POST with `plan` and a reason: do it.
    """
    row = PoolSnapshot.objects.filter(name=name).first()
    if request.method != "POST":
        begun = {"slots": request.GET["slots"]} if request.GET.get("slots", "").isdecimal() else {}
        return _page(request, name, row, PoolForm(initial=_initial(name, row) | begun))
    form = PoolForm(_typed(request, name=name or request.POST.get("name", "")))
    form.fields["slots"].required = not request.POST.get("remove")
    if not form.is_valid():
        return _page(request, name, row, form, status=422)
    sent = _sent(form)
    try:
        parameters = KIND.clean(sent)
    except Invalid as error:
        for field, text in error.errors.items():
            form.add_error(field if field in form.fields else None, text)
        return _page(request, name, row, form, status=422)
    except Stale as stale:
        return _stale(request, name, stale)
    plan = kinds.get("pool").plan(parameters, timezone.now())
    if not request.POST.get("plan"):
        return _page(request, name, row, form, plan)
    return _submit(request, name, row, form, sent, plan)


def _submit(
    request: HttpRequest, name: str, row: PoolSnapshot | None, form: PoolForm, sent: dict[str, Any], plan: Plan
) -> HttpResponse:
    reason = request.POST.get("reason", "")
    try:
        operation = submit("pool", sent, reason=reason, by=actor_of(request), plan_id=request.POST["plan"])
    except Invalid as error:
        return _page(request, name, row, form, plan, status=422, refused=" ".join(error.errors.values()))
    except Refused as error:
        return _page(request, name, row, form, error.plan, status=409, refused=str(error))
    except Conflict as error:
        return _page(request, name, row, form, plan, status=409, refused=str(error), holder=error.operation)
    except Stale as stale:
        return _stale(request, name, stale)
    messages.success(request, f"OP-{operation.pk} is under way.")
    return redirect("operations:one", operation.pk)


def _stale(request: HttpRequest, name: str, stale: Stale) -> HttpResponse:
    """Somebody was quicker: what was typed stays, on top of the settings of now."""
    data = _typed(request, name=name, revision=stale.current.revision if stale.current else "")
    text = f"{stale} What you typed is kept: compare, and check it again."
    return _page(request, name, stale.current, PoolForm(data), status=409, refused=text)


def _typed(request: HttpRequest, **changes: str) -> QueryDict:
    """What was sent, with some fields replaced."""
    data = request.POST.copy()
    for field, value in changes.items():
        data[field] = value
    return data


def _sent(form: PoolForm) -> dict[str, Any]:
    values = form.cleaned_data
    return {
        "name": values["name"],
        "action": "delete" if values["remove"] else "put",
        "slots": values["slots"],
        "description": values["description"],
        "include_deferred": values["include_deferred"],
        "revision": values["revision"],
        "until": values["until"],
        "override": values["override"],
    }


def _initial(name: str, row: PoolSnapshot | None) -> dict[str, Any]:
    if row is None:
        return {"name": name, "slots": 16}
    return {
        "name": row.name,
        "slots": row.slots,
        "description": row.description,
        "include_deferred": row.include_deferred,
        "revision": row.revision,
    }


def _page(
    request: HttpRequest,
    name: str,
    row: PoolSnapshot | None,
    form: PoolForm,
    plan: Plan | None = None,
    *,
    status: int = 200,
    refused: str = "",
    holder: Operation | None = None,
) -> HttpResponse:
    checks = [
        {"status": "succeeded" if c.ok else "unknown" if c.ok is None else "failing", "text": c.text}
        for c in (plan.checks if plan else ())
    ]
    context = {
        "name": name,
        "row": row,
        "form": form,
        "plan": plan,
        "checks": checks,
        "blocked": bool(plan and plan.refusals),
        "refused": refused,
        "holder": holder,
        "reason": request.POST.get("reason", request.GET.get("reason", "")),
        "removable": bool(row) and name != DEFAULT_POOL,
        "now": timezone.now(),
    }
    return render(request, "pools/edit.html", context, status=status)
