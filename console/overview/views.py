"""The overview."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from console.overview.pages import overview_page


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return render(request, "overview/page.html", {"page": overview_page(now), "now": now})
