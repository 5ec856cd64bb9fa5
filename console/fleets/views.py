"""The fleets' pages."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from console.accounts.actor import actor_of
from console.fleets.charts import capacity_chart
from console.fleets.fleet_page import Unknown, find_queue, fleet_page, worker_page
from console.fleets.pages import fleets_page


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
    context = {"page": page, "now": now, "may": actor_of(request).can("operator")}
    return render(request, "fleets/fleet.html", context)


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
