"""The pages of incidents, what people do there, announced work, runbooks, and the link in a page to a phone."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts.access import require_role
from console.accounts.actor import actor_of
from console.incidents import actions, runbooks
from console.incidents.actions import Invalid, NotNow
from console.incidents.detectors import DETECTORS
from console.incidents.forms import SNOOZES, MaintenanceForm, begun
from console.incidents.models import Incident, Maintenance
from console.incidents.one_page import find, incident_page
from console.incidents.pages import chosen, list_page, read

PAST = 50
"""Windows that are over, on the page of maintenance; of those in force or still to come none is left out."""
EXPORT_LIMIT = 100_000
COLUMNS = {
    "id": "pk", "key": "key", "severity": "severity", "state": "state", "title": "title", "target": "target",
    "opened_at": "opened_at", "resolved_at": "resolved_at", "acknowledged_by": "acknowledged_by",
    "resolved_by": "resolved_by", "pages": "triggers", "folded": "folded", "outcome": "outcome",
}  # fmt: skip
"""The export's columns, and where each is from."""


@require_safe
def incidents(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return render(request, "incidents/list.html", {"page": list_page(now, request.GET.dict()), "now": now})


@require_safe
def export(request: HttpRequest) -> HttpResponseBase:
    """What the list shows, as CSV, the newest first. Too many are refused rather than cut off."""
    rows = chosen(read(request.GET.dict()))
    if (number := rows.order_by().count()) > EXPORT_LIMIT:
        text = f"{number:,} incidents; at most {EXPORT_LIMIT:,} are exported: narrow the filters, or page by the API."
        return HttpResponse(text, status=400, content_type="text/plain; charset=utf-8")
    lines = _lines(rows.values_list(*COLUMNS.values()).iterator(chunk_size=2000))
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="incidents-{timezone.now():%Y%m%d-%H%M}.csv"'
    return answer


class _Echo:
    def write(self, line: str) -> str:
        return line


def _lines(rows: Iterator[tuple[object, ...]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for row in rows:
        yield writer.writerow([_cell(value) for value in row])


def _cell(value: object) -> str:
    """A spreadsheet must not take what somebody wrote for a formula."""
    text = "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


@require_safe
def incident(request: HttpRequest, pk: int) -> HttpResponse:
    return _one(request, pk, "incidents/incident.html")


@require_safe
def brief(request: HttpRequest, pk: int) -> HttpResponse:
    """The link in a page: light enough for a phone on a bad network, whole without scripts."""
    return _one(request, pk, "incidents/brief.html")


def _one(request: HttpRequest, pk: int, template: str) -> HttpResponse:
    now = timezone.now()
    found = find(pk)
    if found is None:
        raise Http404(f"There is no incident {pk}.")
    page = incident_page(found, now, actor_of(request))
    return render(request, template, {"page": page, "now": now, "snoozes": SNOOZES})


@require_POST
@require_role("operator")
def act(request: HttpRequest, pk: int, word: str) -> HttpResponse:
    """acknowledge, snooze, resolve, note; then back to where it was asked from (`back`: brief, or the page)."""
    get_object_or_404(Incident, pk=pk)
    now, by, reason = timezone.now(), actor_of(request), request.POST.get("reason", "")
    try:
        match word:
            case "acknowledge":
                actions.acknowledge(pk, by=by, now=now, reason=reason[:1000])
                done = "It is yours: nobody is told again unless it gets worse."
            case "snooze":
                until = now + timedelta(minutes=_minutes(request.POST.get("minutes", "")))
                actions.snooze(pk, until=until, by=by, now=now, reason=reason)
                done = f"Snoozed until {until:%H:%M} UTC; it tells again at once if it gets worse."
            case "resolve":
                actions.resolve(pk, by=by, now=now, reason=reason)
                done = "Resolved."
            case "note":
                actions.add_note(pk, request.POST.get("text", ""), by=by, now=now)
                done = "Noted."
            case _:
                raise Http404("An incident can be acknowledged, snoozed, resolved, or noted upon.")
    except (Invalid, NotNow) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
    return redirect("incidents-brief" if request.POST.get("back") == "brief" else "incidents:one", pk)


def _minutes(text: str) -> int:
    if text not in {str(minutes) for minutes, _ in SNOOZES}:
        raise Invalid({"minutes": f"One of {', '.join(str(minutes) for minutes, _ in SNOOZES)} minutes."})
    return int(text)


@require_http_methods(["GET", "HEAD", "POST"])
def maintenance(request: HttpRequest) -> HttpResponseBase:
    """Announced work. Anybody may look; an operator announces."""
    return (
        _announce(request)
        if request.method == "POST"
        else _maintenance(request, MaintenanceForm(initial=begun(request.GET)))
    )


@require_role("operator")
def _announce(request: HttpRequest) -> HttpResponse:
    form = MaintenanceForm(request.POST)
    now = timezone.now()
    if form.is_valid():
        values = form.cleaned_data
        try:
            window = actions.announce(
                values["targets"], starts_at=values["starts_at"] or now, ends_at=values["ends_at"],
                reason=values["reason"], by=actor_of(request), now=now,
            )  # fmt: skip
        except Invalid as error:
            for field, text in error.errors.items():
                form.add_error(field, text)
        else:
            messages.success(request, f"MW-{window.pk} is announced.")
            return redirect("incidents:maintenance")
    return _maintenance(request, form, status=422)


def _maintenance(request: HttpRequest, form: MaintenanceForm, status: int = 200) -> HttpResponse:
    now = timezone.now()
    over = Maintenance.objects.exclude(ends_at__gt=now, cancelled_at=None)
    context = {
        "form": form,
        "ahead": list(Maintenance.objects.ahead(now).order_by("starts_at", "pk")),
        "past": list(over.order_by("-starts_at", "-pk")[:PAST]),
        "now": now,
    }
    return render(request, "incidents/maintenance.html", context, status=status)


@require_POST
@require_role("operator")
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    get_object_or_404(Maintenance, pk=pk)
    try:
        actions.cancel(pk, by=actor_of(request), now=timezone.now(), reason=request.POST.get("reason", ""))
    except (Invalid, NotNow) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"MW-{pk} has ended: what it kept quiet is told.")
    return redirect("incidents:maintenance")


@require_safe
def runbook_list(request: HttpRequest) -> HttpResponse:
    found = [(slug, title, runbooks.url_of(slug)) for slug, title in DETECTORS.items() if runbooks.exists(slug)]
    return render(request, "incidents/runbooks.html", {"runbooks": found, "now": timezone.now()})


@require_safe
def runbook(request: HttpRequest, slug: str) -> HttpResponse:
    found = runbooks.runbook(slug)
    if found is None:
        raise Http404(f"There is no runbook {slug[:60]!r}.")
    return render(request, "incidents/runbook.html", {"runbook": found, "now": timezone.now()})
