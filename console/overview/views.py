"""The overview, the history, and the search."""

from __future__ import annotations

from dataclasses import asdict

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from console.overview.pages import overview_page
from console.overview.search import search
from console.overview.timeline import charts, history_page


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return render(request, "overview/page.html", {"page": overview_page(now), "now": now})


@require_safe
def history(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return render(request, "overview/history.html", {"page": history_page(now, request.GET.dict()), "now": now})


@require_safe
def history_charts(request: HttpRequest) -> HttpResponse:
    return JsonResponse(charts(timezone.now(), request.GET.dict()))


@require_safe
def found(request: HttpRequest) -> HttpResponse:
    """What `/` finds: as JSON for the palette, as a page for a link and for a browser without scripts."""
    page = search(request.GET.get("q", ""))
    response: HttpResponse
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        response = JsonResponse(asdict(page))
    else:
        response = render(request, "overview/search.html", {"page": page})
    patch_vary_headers(response, ["Accept"])
    return response
