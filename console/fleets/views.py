"""The fleets' pages."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from console.accounts.access import require_role
from console.fleets.charts import capacity_chart
from console.fleets.fleet_page import Unknown, find_queue, fleet_page, worker_page
from console.fleets.pages import fleets_page
from console.operations.preflight import preflight


@require_safe
def fleets(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return render(request, "fleets/page.html", {"page": fleets_page(now, request.GET.dict()), "now": now})


@require_safe
def fleet(request: HttpRequest, queue: str) -> HttpResponse:
    now = timezone.now()
    try:
        page = fleet_page(queue, now, request.GET.dict())
    except Unknown as error:
        raise Http404(str(error)) from None
    return render(request, "fleets/fleet.html", {"page": page, "now": now})


@require_safe
def worker(request: HttpRequest, queue: str, node: str) -> HttpResponse:
    now = timezone.now()
    try:
        page = worker_page(queue, node, now)
    except Unknown as error:
        raise Http404(str(error)) from None
    return render(request, "fleets/worker.html", {"page": page, "now": now})


@require_safe
def chart(request: HttpRequest, queue: str) -> HttpResponse:
    now = timezone.now()
    try:
        find_queue(queue, now)
    except Unknown as error:
        raise Http404(str(error)) from None
    small = request.GET.get("size") == "small"
    return JsonResponse(capacity_chart(queue, request.GET.get("range", ""), now, small=small))


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def drain(request: HttpRequest, queue: str) -> HttpResponse:
    """The preflight of a drain of the workers that the address names."""
    query = request.GET
    sent = {
        "queue": queue,
        "workers": query.getlist("workers"),
        "deadline_s": _number(query.get("deadline_s", "")),
        "on_deadline": query.get("on_deadline", ""),
        "replace": query.get("replace") == "1",
        "override_last": query.get("override_last") == "1",
    }
    back = reverse("fleets:fleet", args=[queue])
    return preflight(request, "drain", sent, back=back, section=queue, button="Drain", level="caution")


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def resize(request: HttpRequest, queue: str) -> HttpResponse:
    """The preflight of a resize to the numbers in the address."""
    sent = {"queue": queue} | {name: _number(request.GET.get(name, "")) for name in ("baseline", "max", "desired")}
    back = reverse("fleets:fleet", args=[queue])
    return preflight(request, "resize", sent, back=back, section=queue, button="Resize", level="caution")


def _number(text: str) -> int | str | None:
    """None where nothing was typed; what is no number stays as typed, for the operation to refuse by name."""
    text = text.strip()
    return None if not text else int(text) if text.isdecimal() and len(text) < 10 else text
