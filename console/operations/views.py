"""The list of operations, one operation, and the orders that people give it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from console.accounts.access import require_role
from console.accounts.actor import actor_of
from console.operations.kinds import Invalid
from console.operations.models import Operation
from console.operations.pages import list_page, operation_page, url_of
from console.operations.submit import NotNow
from console.operations.submit import answer as give_answer
from console.operations.submit import order as give_order


@require_safe
def operations(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return render(request, "operations/list.html", {"page": list_page(now, request.GET.dict()), "now": now})


@require_safe
def operation(request: HttpRequest, pk: int) -> HttpResponse:
    now = timezone.now()
    found = get_object_or_404(Operation, pk=pk)
    return render(
        request, "operations/operation.html", {"page": operation_page(found, now, actor_of(request)), "now": now}
    )


@require_POST
@require_role("operator")
def order(request: HttpRequest, pk: int) -> HttpResponse:
    """`word`: pause, resume, abort, or one of the choices of its question. `force` is confirmed by the name it ends."""
    found = get_object_or_404(Operation, pk=pk)
    word = request.POST.get("word", "")
    reason = request.POST.get("reason", "")
    by = actor_of(request)
    name = request.POST.get("instance_id", "") or found.target
    if word == "force" and request.POST.get("confirm", "").strip() != name:
        messages.error(request, f"Nothing was forced: type {name} to confirm.")
        return redirect(url_of(found))
    try:
        if word in ("pause", "resume", "abort"):
            give_order(pk, word, reason=reason, by=by)
        else:
            instance = request.POST.get("instance_id", "")
            give_answer(pk, word, {"instance_id": instance} if instance else {}, reason=reason, by=by)
    except (NotNow, Invalid) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"OP-{pk}: {word} is noted; it takes effect between two steps.")
    return redirect(url_of(found))
