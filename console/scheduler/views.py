"""The scheduler's page, and the preflights of what can be done there."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from console.accounts.access import require_role
from console.operations.preflight import preflight
from console.scheduler.pages import scheduler_page
from console.scheduler.poll import URL

SECTION = "Scheduler"


@require_safe
def scheduler(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return render(request, "scheduler/page.html", {"page": scheduler_page(now), "now": now})


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def switchover(request: HttpRequest) -> HttpResponse:
    sent = {"to": request.GET.get("to", "")}
    return preflight(request, "switchover", sent, back=URL, section=SECTION, button="Switch over", level="caution")


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def failover(request: HttpRequest) -> HttpResponse:
    sent = {"to": request.GET.get("to", "")}
    return preflight(request, "failover", sent, back=URL, section=SECTION, button="Fail over", level="danger")


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def failover_pause(request: HttpRequest) -> HttpResponse:
    """`for_s` in the address: how long; 0 ends the pause."""
    text = request.GET.get("for_s", "")
    sent = {"for_s": int(text) if text.isdecimal() and len(text) < 6 else None}
    return preflight(request, "failover-pause", sent, back=URL, section=SECTION, button="Do it", level="caution")
