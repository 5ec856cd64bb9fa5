"""Operations in Django's admin: read only, and the same orders as on their own pages, with the same reasons."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html

from console.accounts.actor import actor_of
from console.operations.kinds import Invalid
from console.operations.models import Operation
from console.operations.pages import title_of
from console.operations.submit import NotNow, order


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """What is remembered of the platform is written by polls and operations alone, never by a form of the admin."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Operation)
class OperationAdmin(ReadOnly):
    list_display = ("pk", "kind", "target", "state", "requested_by_name", "reason", "created_at", "its_page")
    list_filter = ("state", "kind")
    search_fields = ("target", "reason", "requested_by_name")
    fields = readonly_fields = (
        *("kind", "target", "parameters", "reason", "requested_by_name", "state", "outcome", "its_page"),
        *("created_at", "started_at", "finished_at"),
    )
    actions = ("abort", "pause", "resume")

    @admin.display(description="page")
    def its_page(self, operation: Operation) -> str:
        return format_html('<a href="{}">OP-{}</a>', operation.url, operation.pk)

    @admin.action(description="Abort the selected operations…", permissions=["view"])
    def abort(self, request: HttpRequest, queryset: QuerySet[Operation]) -> HttpResponse | None:
        return self._order(request, queryset, "abort")

    @admin.action(description="Pause the selected operations…", permissions=["view"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Operation]) -> HttpResponse | None:
        return self._order(request, queryset, "pause")

    @admin.action(description="Resume the selected operations…", permissions=["view"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Operation]) -> HttpResponse | None:
        return self._order(request, queryset, "resume")

    def _order(self, request: HttpRequest, queryset: QuerySet[Operation], word: str) -> HttpResponse | None:
        """Ask for the reason first; then give each the order, and tell which of them did not take it, and why."""
        chosen = list(queryset.order_by("pk")[:100])
        reason = request.POST.get("reason", "")
        refused = ""
        if "ordered" in request.POST:
            try:
                for operation in chosen:
                    self._give(request, operation, word, reason)
            except Invalid as error:
                refused = error.errors.get("reason", str(error))
            else:
                return None
        context = {
            **self.admin_site.each_context(request),
            "title": f"{word.capitalize()} operations",
            "opts": Operation._meta,
            "word": word,
            "chosen": [(operation, title_of(operation)) for operation in chosen],
            "reason": reason,
            "refused": refused,
        }
        return TemplateResponse(request, "admin/order.html", context, status=422 if refused else 200)

    def _give(self, request: HttpRequest, operation: Operation, word: str, reason: str) -> None:
        try:
            order(operation.pk, word, reason=reason, by=actor_of(request))
        except NotNow as error:
            self.message_user(request, f"OP-{operation.pk}: {error}", messages.ERROR)
        else:
            text = f"OP-{operation.pk}: {word} is noted; it takes effect between two steps."
            self.message_user(request, text, messages.SUCCESS)
