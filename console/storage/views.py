"""The storages' page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from console.storage.pages import storage_page


@require_safe
def storage(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return render(request, "storage/page.html", {"page": storage_page(now), "now": now})
