"""The freshness pages."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts.access import require_role
from console.accounts.actor import actor_of
from console.freshness.actions import Settled, attest_epoch
from console.freshness.detail import find, lag_chart, table_page
from console.freshness.models import Heartbeat, TableSnapshot
from console.freshness.pages import freshness_page
from console.freshness.rows import URL
from console.operations.preflight import preflight

SECTION = "Freshness"


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


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def resume(request: HttpRequest, name: str) -> HttpResponse:
    sent = {"task": name}
    return preflight(request, "dms-resume", sent, back=URL, section=SECTION, button="Resume", level="caution")


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def reload(request: HttpRequest, name: str) -> HttpResponse:
    """`task` in the address: through which one, where several write to the table."""
    sent = {"table": name, "task": request.GET.get("task", "")}
    back = f"{URL}{name}/"
    return preflight(request, "table-reload", sent, back=back, section=SECTION, button="Reload", level="danger")


@require_role("operator")
@require_POST
def attest(request: HttpRequest, name: str) -> HttpResponse:
    """Take a source's new epoch as right."""
    reason = request.POST.get("reason", "").strip()[:1000]
    try:
        if not reason:
            messages.error(request, "Say why: a reason is required.")
        else:
            attest_epoch(actor_of(request), name, reason)
            messages.success(request, f"The epoch of {name} is settled; its tables are proven anew.")
    except Heartbeat.DoesNotExist:
        raise Http404(f"No DMS task called {name} has heartbeats.") from None
    except Settled:
        messages.info(request, f"The epoch of {name} is settled already.")
    back = request.POST.get("back", URL)
    return redirect(back if url_has_allowed_host_and_scheme(back, None) else URL)


def _declared(name: str) -> TableSnapshot:
    found = find(name)
    if found is None:
        raise Http404(f"No table called {name} is declared in platform.yaml.")
    return found
