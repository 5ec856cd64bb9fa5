"""The page before a change: what it would do, what speaks against it, the reason; then exactly that is submitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from console.accounts.actor import actor_of
from console.operations import kinds
from console.operations.kinds import Check, Invalid, Plan
from console.operations.models import Operation
from console.operations.pages import url_of
from console.operations.submit import Conflict, Refused, submit


def preflight(
    request: HttpRequest, kind: str, sent: Mapping[str, Any], *, back: str, section: str, button: str, level: str
) -> HttpResponse:
    """GET shows the plan of `sent`; POST with its id, a reason and, where asked for, the typed word submits it.

    `back` and `section` are where it came from; `level` is primary, caution or danger.
    """
    page: dict[str, Any] = {
        "back": back,
        "section": section,
        "button": button,
        "level": level,
        "reason": request.POST.get("reason", request.GET.get("reason", "")),
        "now": timezone.now(),
        "title": "",
        "errors": [],
        "holder": None,
        **_shown(None),
    }
    reason = request.POST.get("reason", "")
    try:
        parameters = kinds.get(kind).clean(dict(sent) | {"reason": reason})
    except Invalid as error:
        return render(request, "operations/preflight.html", page | {"errors": list(error.errors.values())}, status=422)
    page["title"] = kinds.get(kind).title(parameters)
    plan = kinds.get(kind).plan(parameters, timezone.now())
    if request.method != "POST":
        return render(request, "operations/preflight.html", page | _shown(plan))
    try:
        operation = submit(
            kind,
            dict(sent) | {"reason": reason},
            reason=reason,
            by=actor_of(request),
            plan_id=request.POST.get("plan") or "none was shown",
            confirm=request.POST.get("confirm"),
        )
    except Invalid as error:
        context = page | _shown(plan) | {"errors": list(error.errors.values())}
        return render(request, "operations/preflight.html", context, status=422)
    except Refused as error:
        context = page | _shown(error.plan) | {"errors": [str(error)]}
        return render(request, "operations/preflight.html", context, status=409)
    except Conflict as error:
        context = page | _shown(plan) | {"errors": [str(error)], "holder": _holder(error.operation)}
        return render(request, "operations/preflight.html", context, status=409)
    messages.success(request, f"OP-{operation.pk} is under way.")
    return redirect(url_of(operation))


def _holder(operation: Operation) -> dict[str, Any]:
    return {"name": f"OP-{operation.pk}", "url": url_of(operation)}


def _shown(plan: Plan | None) -> dict[str, Any]:
    return {
        "plan": plan,
        "checks": [shown(check) for check in plan.checks] if plan else [],
        "blocked": bool(plan and plan.refusals),
    }


def shown(check: Check) -> dict[str, str]:
    """A check for the partial `_checks.html`. One that only warns is amber."""
    if check.ok:
        status = "succeeded"
    elif check.ok is None:
        status = "unknown"
    else:
        status = "failing" if check.blocking else "degraded"
    return {"status": status, "text": check.text}
