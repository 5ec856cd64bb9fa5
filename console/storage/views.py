"""The storages' page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from console.accounts.access import require_role
from console.operations.preflight import preflight
from console.storage.pages import storage_page
from console.storage.poll import URL


@require_safe
def storage(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return render(request, "storage/page.html", {"page": storage_page(now, request.GET.dict()), "now": now})


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def expire(request: HttpRequest, id: str) -> HttpResponse:
    """What is past its expiry, and its removal."""
    sent = {"storage": id}
    return preflight(request, "expire", sent, back=URL, section="Storage", button="Remove them", level="danger")
