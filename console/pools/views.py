"""The pools' page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from console.pools.pages import pools_page


@require_safe
def pools(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return render(request, "pools/page.html", {"page": pools_page(now, request.GET.dict()), "now": now})
