"""The list of deploys, the form of a new one with its preflight, and one deploy."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from console.accounts.access import require_role
from console.accounts.actor import actor_of
from console.deploys.pages import deploy_page
from console.fleets.models import GroupSnapshot
from console.operations.models import Operation
from console.operations.pages import operation_page, row_of
from console.operations.preflight import preflight
from console.platform.declared import declaration

NUMBERS = ("max_surge", "max_unavailable", "drain_deadline_s", "min_ready_s")


@require_safe
def deploys(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    rows = [row_of(one, now) for one in Operation.objects.filter(kind="deploy").order_by("-pk")[:50]]
    groups = {group.name: group for group in GroupSnapshot.objects.all()}
    fleets = [(fleet, groups.get(fleet.group)) for fleet in declaration().fleets]
    return render(request, "deploys/list.html", {"rows": rows, "fleets": fleets, "now": now})


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The preflight of what the list's form asks for."""
    query = request.GET
    sent: dict[str, Any] = {
        "version": query.get("version", ""),
        "queues": query.getlist("queues") or None,
        "on_deadline": query.get("on_deadline", ""),
    }
    for name in NUMBERS:
        text = query.get(name, "").strip()
        if text:
            sent[name] = int(text) if text.isdecimal() and len(text) < 9 else text
    return preflight(request, "deploy", sent, back="/deploys/", section="Deploys", button="Deploy", level="caution")


@require_safe
def deploy(request: HttpRequest, pk: int) -> HttpResponse:
    now = timezone.now()
    found = get_object_or_404(Operation, pk=pk, kind="deploy")
    context = {
        "deploy": deploy_page(found, now),
        "page": operation_page(found, now, actor_of(request)),
        "now": now,
    }
    return render(request, "deploys/deploy.html", context)
