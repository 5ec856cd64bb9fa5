"""Workers in Django's admin: read only; its actions lead to the same forms as the buttons of the fleet's page."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse

from console.fleets.drain_kind import MOST
from console.fleets.models import Worker
from console.lib.words import listed
from console.operations.admin import ReadOnly
from console.platform.declared import declaration


@admin.register(Worker)
class WorkerAdmin(ReadOnly):
    list_display = ("node", "home", "state", "instance_id", "version", "active", "slots", "seen_at")
    list_filter = ("home", "state")
    search_fields = ("node", "instance_id", "version")
    fields = readonly_fields = (*list_display, "host", "serves", "consumes", "first_seen_at", "answered_at")
    actions = ("drain", "replace")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        return Worker.objects.listed()

    @admin.action(description="Drain the selected workers…", permissions=["view"])
    def drain(self, request: HttpRequest, queryset: QuerySet[Worker]) -> HttpResponse | None:
        return self._form(request, queryset)

    @admin.action(description="Replace the selected workers…", permissions=["view"])
    def replace(self, request: HttpRequest, queryset: QuerySet[Worker]) -> HttpResponse | None:
        return self._form(request, queryset, replace="1")

    def _form(self, request: HttpRequest, queryset: QuerySet[Worker], **begun: str) -> HttpResponse | None:
        """The drain's own form, begun with these workers: it has the preflight, the reason and the permissions."""
        rows = list(queryset.order_by("node")[: MOST + 1])
        queues = sorted({row.home for row in rows})
        if len(queues) != 1:
            self.message_user(request, f"Choose workers of one queue; these are of {listed(queues)}.", messages.ERROR)
            return None
        if declaration().fleet(queues[0]) is None:
            text = f"{queues[0] or 'No queue'} is not declared: the workers have no group to be drained from."
            self.message_user(request, text, messages.ERROR)
            return None
        if len(rows) > MOST:
            text = f"At most {MOST} workers in one drain. To replace a whole fleet, deploy."
            self.message_user(request, text, messages.ERROR)
            return None
        query = QueryDict(mutable=True)
        query.setlist("workers", [row.instance_id or row.node for row in rows])
        query.update(begun)
        return HttpResponseRedirect(f"{reverse('fleets:drain', args=[queues[0]])}?{query.urlencode()}")
