"""The datastores' page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from console.datastores.pages import datastores_page


@require_safe
def datastores(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return render(request, "datastores/page.html", {"page": datastores_page(now), "now": now})
