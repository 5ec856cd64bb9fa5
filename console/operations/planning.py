"""A form beside what it would do: typed, planned, looked at, then submitted as exactly that plan. Nothing is lost.

For changes with settings of their own (a deploy, a drain, a resize). One address: GET and POST without `plan` show the
plan of what was typed; POST with the plan's id and a reason asks for it. A refusal comes back with everything typed,
and with what has changed since the plan was shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from console.accounts.actor import actor_of
from console.operations import kinds
from console.operations.kinds import Invalid, Plan
from console.operations.pages import url_of
from console.operations.preflight import shown
from console.operations.submit import Conflict, Refused, submit

LINES = 100


@dataclass(frozen=True)
class Offer:
    """The plan as a page shows it. `word` must be typed before it is done; "" where nothing can be lost.

    `changes` are lines that came or went since the plan was shown: (came, line).
    """

    plan: Plan
    word: str
    changes: tuple[tuple[bool, str], ...] = ()

    @property
    def blocked(self) -> bool:
        return bool(self.plan.refusals)

    @property
    def checks(self) -> list[dict[str, str]]:
        return [shown(check) for check in self.plan.checks]

    @property
    def lines(self) -> list[str]:
        return _lines(self.plan)


@dataclass(frozen=True)
class Change:
    """What a view tells about its change.

    `sent` turns the valid form into what the kind takes, `fields` its parameters' names into the form's, `word` says
    what must be typed on the page (the plan's own `confirm` always).
    """

    kind: str
    template: str
    sent: Callable[[forms.Form], dict[str, Any]]
    fields: Mapping[str, str]
    word: Callable[[Plan], str]


def with_plan(request: HttpRequest, change: Change, form: forms.Form, context: Mapping[str, Any]) -> HttpResponse:
    """Answer GET and POST of such a page. The form is bound: to what was typed, or to what it begins with."""
    page = {
        "form": form,
        "reason": request.POST.get("reason", request.GET.get("reason", "")),
        "now": timezone.now(),
        "title": "",
        "offer": None,
        "refused": "",
        "holder": None,
        **context,
    }
    kind = kinds.get(change.kind)
    if not form.is_valid():
        return render(request, change.template, page, status=422)
    sent = change.sent(form)
    try:
        parameters = kind.clean(sent)
    except Invalid as error:
        _explain(form, change, error)
        return render(request, change.template, page, status=422)
    plan = kind.plan(parameters, timezone.now())
    offer = Offer(plan, plan.confirm or change.word(plan))
    page |= {"title": kind.title(parameters), "offer": offer}
    wanted = request.POST.get("plan")
    if not wanted:
        return render(request, change.template, page)
    if offer.word and not plan.confirm and request.POST.get("confirm", "").strip() != offer.word and wanted == plan.id:
        return render(request, change.template, page | {"refused": f"Type {offer.word!r} to confirm."}, status=422)
    try:
        operation = submit(
            change.kind,
            sent,
            reason=request.POST.get("reason", ""),
            by=actor_of(request),
            plan_id=wanted,
            confirm=request.POST.get("confirm", "").strip(),
        )
    except Invalid as error:
        _explain(form, change, error)
        refused = " ".join(
            text for name, text in error.errors.items() if change.fields.get(name, name) not in form.fields
        )
        return render(request, change.template, page | {"refused": refused}, status=422)
    except Refused as error:
        changes = _changes(request.POST.getlist("shown")[:LINES], error.plan)
        offer = Offer(error.plan, error.plan.confirm or change.word(error.plan), changes)
        return render(request, change.template, page | {"refused": str(error), "offer": offer}, status=409)
    except Conflict as error:
        return render(
            request,
            change.template,
            page | {"refused": str(error), "holder": (f"OP-{error.operation.pk}", url_of(error.operation))},
            status=409,
        )
    messages.success(request, f"OP-{operation.pk} is under way.")
    return redirect(url_of(operation))


def _explain(form: forms.Form, change: Change, error: Invalid) -> None:
    for name, text in error.errors.items():
        field = change.fields.get(name, name)
        form.add_error(field if field in form.fields else None, text)


def _lines(plan: Plan) -> list[str]:
    return [*(check.text for check in plan.checks), *plan.touches, *plan.at_risk][:LINES]


def _changes(before: list[str], plan: Plan) -> tuple[tuple[bool, str], ...]:
    after = _lines(plan)
    if not before:
        return ()
    gone = [(False, line) for line in before if line not in after]
    return (*gone, *((True, line) for line in after if line not in before))
