"""Pages that change a fleet: a drain of chosen workers, a resize, and orders to a worker that is being drained."""

from __future__ import annotations

from functools import partial

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from console.accounts.access import require_role
from console.fleets.drain_kind import TASKS_SHOWN, tasks_on
from console.fleets.figures import fleet_url
from console.fleets.fleet_page import Unknown, find_queue
from console.fleets.hands_forms import FIELDS, DrainForm, ResizeForm, begun, drain_sent, resize_sent
from console.fleets.models import GroupSnapshot, RunningTask, Worker
from console.operations.kinds import Plan
from console.operations.models import Operation
from console.operations.planning import Change, with_plan
from console.operations.rules import ACTIVE
from console.platform.declared import declaration

ORDERS = {
    # word: (title, what it means, button, level)
    "wait": (
        "More time for {0}?",
        "Its deadline is counted from now on again. Nothing else changes.",
        "Give it",
        "primary",
    ),
    "undrain": (
        "Put {0} back in service?",
        "It takes up its queue again, as it is. No task is lost.",
        "Put back",
        "caution",
    ),
    "force": (
        "Stop {0} by force?",
        "Its running tasks are killed. Airflow starts them anew where they have tries left.",
        "Stop by force",
        "danger",
    ),
}


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def drain(request: HttpRequest, queue: str) -> HttpResponse:
    """GET begins with the workers that the address names: `workers`, several; `replace=1` to launch others."""
    _declared(queue)
    data = request.POST or begun(request.GET)
    form = DrainForm(data)
    names = [name.replace("\x00", "") for name in data.getlist("workers")]
    chosen = Q(instance_id__in=names) | Q(node__in=names) | Q(host__in=names)
    hosts = list(Worker.objects.serving(queue).filter(chosen).values_list("host_key", flat=True))
    context = {
        "queue": queue,
        "back": fleet_url(queue),
        "number": len(set(names)),
        "running": tasks_on(hosts),
        "more": RunningTask.objects.filter(host_key__in=hosts, state="running").count(),
        "shown": TASKS_SHOWN,
    }
    change = Change("drain", "fleets/drain.html", partial(drain_sent, queue), FIELDS, partial(_word, queue))
    return with_plan(request, change, form, context)


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def resize(request: HttpRequest, queue: str) -> HttpResponse:
    fleet = _declared(queue)
    group = GroupSnapshot.objects.filter(name=fleet).first()
    usual = {}
    if group is not None and not request.GET:
        known = (("baseline", group.minimum), ("desired", group.desired), ("max", group.maximum))
        usual = {name: str(value) for name, value in known if value is not None}
    form = ResizeForm(request.POST or begun(request.GET, **usual))
    change = Change("resize", "fleets/resize.html", partial(resize_sent, queue), FIELDS, partial(_word, queue))
    return with_plan(request, change, form, {"queue": queue, "back": fleet_url(queue), "group": group})


def _word(queue: str, plan: Plan) -> str:
    """Where work may be lost, the queue's name is typed first."""
    return queue if plan.at_risk else ""


def _declared(queue: str) -> str:
    """The group of a declared fleet; 404 for any other queue."""
    try:
        find_queue(queue, timezone.now())
    except Unknown as error:
        raise Http404(str(error)) from None
    fleet = declaration().fleet(queue)
    if fleet is None:
        raise Http404(f"{queue[:100]} is not declared: it has no group to change.")
    return fleet.group


@require_role("operator")
@require_safe
def ask(request: HttpRequest, pk: int, instance: str, word: str) -> HttpResponse:
    """The dialog of an order to one worker of a running operation: what it means, and what it would lose."""
    if word not in ORDERS:
        raise Http404(f"No such order: {word[:40]}.")
    operation = get_object_or_404(Operation, pk=pk, state__in=ACTIVE, kind__in=("deploy", "drain", "resize"))
    title, text, button, level = ORDERS[word]
    hosts = list(Worker.objects.filter(instance_id=instance[:64]).values_list("host_key", flat=True))
    context = {
        "operation": operation,
        "instance": instance,
        "word": word,
        "title": title.format(instance),
        "text": text,
        "button": button,
        "level": level,
        "tasks": tasks_on(hosts) if word == "force" else [],
    }
    return render(request, "fleets/_ask.html", context)
