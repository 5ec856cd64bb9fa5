"""`/audit/`: for operators and admins. It names people, their addresses and their failed sign-ins."""

from __future__ import annotations

from dataclasses import replace

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from console.accounts import audit
from console.accounts.access import require_role
from console.accounts.actor import actor_of
from console.accounts.audit_log import EXPORT_LIMIT, audit_page, read, to_csv


@require_safe
@require_role("operator")
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/audit.html", {"page": audit_page(request.GET.dict()), "now": timezone.now()})


@require_safe
@require_role("operator")
def export(request: HttpRequest) -> HttpResponse:
    """The filtered rows as CSV; the export is itself audited. Too many are refused rather than cut off."""
    filters, errors = read(request.GET.dict())
    filters = replace(filters, before=None)
    rows = list(filters.rows()[: EXPORT_LIMIT + 1])
    if errors or len(rows) > EXPORT_LIMIT:
        text = " ".join(errors.values()) or f"More than {EXPORT_LIMIT} rows: narrow the time, and export in parts."
        return HttpResponse(text, status=400, content_type="text/plain; charset=utf-8")
    audit.record(actor_of(request), "audit.exported", details={"rows": len(rows), "filters": filters.address()})
    name = f"quarterdeck-audit-{timezone.now():%Y%m%dT%H%M%SZ}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(to_csv(rows), content_type="text/csv; charset=utf-8", headers=headers)
