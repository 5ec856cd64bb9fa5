"""The freshness pages."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from console.freshness.detail import find, lag_chart, table_page
from console.freshness.models import TableSnapshot
from console.freshness.pages import freshness_page


@require_safe
def freshness(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return render(request, "freshness/page.html", {"page": freshness_page(now, request.GET.dict()), "now": now})


@require_safe
def table(request: HttpRequest, name: str) -> HttpResponse:
    now = timezone.now()
    page = table_page(now, _declared(name), request.GET.dict())
    return render(request, "freshness/table.html", {"page": page, "now": now})


@require_safe
def lag(request: HttpRequest, name: str) -> JsonResponse:
    """The chart's data."""
    return JsonResponse(lag_chart(_declared(name), timezone.now(), request.GET.get("range", "")))


def _declared(name: str) -> TableSnapshot:
    found = find(name)
    if found is None:
        raise Http404(f"No table called {name} is declared in platform.yaml.")
    return found
