"""Pages of a fleet's autoscaling: its decisions, its switch."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from console.accounts.access import require_role
from console.fleets.charts import waits_chart
from console.fleets.figures import fleet_url
from console.fleets.fleet_page import Unknown, find_queue
from console.fleets.scaling.pages import decisions_page
from console.fleets.scaling.replay_page import ReplayForm, begun, replayed
from console.fleets.scaling.told import told
from console.operations.planning import Change, with_plan
from console.platform.declared import FleetDeclared, declaration

SPANS = (
    ("1800", "for 30 minutes"),
    ("3600", "for an hour"),
    ("14400", "for four hours"),
    ("43200", "for twelve hours"),
    ("", "until somebody says otherwise"),
)


class SwitchForm(forms.Form):
    autoscaling = forms.ChoiceField(label="Autoscaling", choices=(("off", "off"), ("on", "on")))
    for_s = forms.ChoiceField(label="How long", choices=SPANS, required=False)


def declared(queue: str) -> FleetDeclared:
    """The fleet of a declared queue; 404 for any other."""
    try:
        find_queue(queue, timezone.now())
    except Unknown as error:
        raise Http404(str(error)) from None
    fleet = declaration().fleet(queue)
    if fleet is None:
        raise Http404(f"{queue[:100]} is not declared: nothing scales it.")
    return fleet


@require_safe
def decisions(request: HttpRequest, queue: str) -> HttpResponse:
    declared(queue)
    page = decisions_page(queue, request.GET.dict())
    context = {"page": page, "queue": queue, "back": fleet_url(queue), "now": timezone.now()}
    return render(request, "fleets/decisions.html", context)


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def switch(request: HttpRequest, queue: str) -> HttpResponse:
    """GET begins with the other way round, for an hour."""
    declared(queue)
    it = told([queue], timezone.now())[queue]
    data: QueryDict = request.POST
    if not data:
        data = request.GET.copy()
        data.setdefault("autoscaling", "off" if it.on else "on")
        data.setdefault("for_s", "3600" if data["autoscaling"] == "off" else "")
    form = SwitchForm(data)

    def sent(form: forms.Form) -> dict[str, Any]:
        values = form.cleaned_data
        for_s = float(values["for_s"]) if values["for_s"] else None
        return {"queue": queue, "autoscaling": values["autoscaling"], "for_s": for_s}

    change = Change("autoscaling", "fleets/switch.html", sent, {}, lambda plan: "")
    return with_plan(request, change, form, {"queue": queue, "back": fleet_url(queue), "told": it})


@require_safe
def replay(request: HttpRequest, queue: str) -> HttpResponse:
    """A form in the address: what is replayed can be linked to. Read only: any viewer may."""
    fleet = declared(queue)
    asked = bool(request.GET)
    form = ReplayForm(request.GET if asked else begun(fleet))
    valid = form.is_valid()
    page = replayed(fleet, form.cleaned_data, timezone.now()) if asked and valid else None
    context = {"form": form, "page": page, "queue": queue, "back": fleet_url(queue), "now": timezone.now()}
    return render(request, "fleets/replay.html", context, status=200 if valid else 422)


@require_safe
def wait_chart(request: HttpRequest, queue: str) -> HttpResponse:
    fleet = declared(queue)
    return JsonResponse(waits_chart(fleet, request.GET.get("range", ""), timezone.now()))
