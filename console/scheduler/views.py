"""The scheduler's page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from console.scheduler.pages import scheduler_page


@require_safe
def scheduler(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return render(request, "scheduler/page.html", {"page": scheduler_page(now), "now": now})
