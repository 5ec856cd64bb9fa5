"""The page behind every unhandled failure; must work without the database."""

from __future__ import annotations

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token


@requires_csrf_token
def failed(request: HttpRequest) -> HttpResponse:
    """500; or 503 when the console's own database is out of reach. No context processor runs: they would fail again."""
    away = isinstance(sys.exc_info()[1], OperationalError | InterfaceError)
    page = render_to_string("accounts/database_away.html" if away else "500.html")
    return HttpResponse(page, status=503 if away else 500, headers={"Retry-After": "5"} if away else None)
