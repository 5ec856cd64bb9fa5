"""The list of deploys, a new one with its preflight, and one deploy."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from console.accounts.access import require_role
from console.accounts.actor import actor_of
from console.deploys.forms import FIELDS, DeployForm, beginning, sent
from console.deploys.pages import deploy_page, deploys_page
from console.operations.kinds import Plan
from console.operations.models import Operation
from console.operations.pages import operation_page
from console.operations.planning import Change, with_plan
from console.operations.rules import ACTIVE


@require_safe
def deploys(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    actor = actor_of(request)
    context = {"page": deploys_page(now, request.GET.dict()), "now": now, "may": actor.can("operator")}
    return render(request, "deploys/list.html", context)


def _word(plan: Plan) -> str:
    """Where work may be lost, the fleet's name is typed first."""
    return str(plan.parameters["fleets"][0]["queue"]) if plan.at_risk else ""


CHANGE = Change("deploy", "deploys/new.html", sent, FIELDS, _word)


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form begins with what the address says, and with what is usual elsewhere."""
    return with_plan(request, CHANGE, DeployForm(request.POST or _begun(request.GET)), {})


def _begun(query: QueryDict) -> QueryDict:
    data = QueryDict(mutable=True)
    for name, value in beginning().items():
        given = query.getlist(name)
        data.setlist(name, given or (value if isinstance(value, list) else [str(value)]))
    return data


@require_safe
def deploy(request: HttpRequest, pk: int) -> HttpResponse:
    now = timezone.now()
    found = get_object_or_404(Operation, pk=pk, kind="deploy")
    actor = actor_of(request)
    context = {
        "deploy": deploy_page(found, now),
        "page": operation_page(found, now, actor),
        "may_order": actor.can("operator") and found.state in ACTIVE,
        "now": now,
    }
    return render(request, "deploys/deploy.html", context)
