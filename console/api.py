"""The JSON API: one router per app (CONTRACT: "JSON API"; docs/api.md).

Default deny: every call needs at least a viewer, and each call that changes something names the role it needs.
"""

from __future__ import annotations

from functools import wraps
from importlib.util import find_spec
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver
from ninja import NinjaAPI

from console.accounts.api_auth import reader
from console.lib.api import Problem, Renderer, install

ROUTERS = {
    "/": "console.overview.api.router",
    "/scheduler": "console.scheduler.api.router",
    "/fleets": "console.fleets.api.router",
    "/freshness": "console.freshness.api.router",
    "/pools": "console.pools.api.router",
    "/datastores": "console.datastores.api.router",
    "/storage": "console.storage.api.router",
    "/deploys": "console.deploys.api.router",
    "/operations": "console.operations.api.router",
    "/incidents": "console.incidents.api.router",
    "/maintenance": "console.incidents.api.maintenance",
    "/hooks": "console.incidents.hooks.router",
    "/series": "console.history.api.router",
    "/me": "console.accounts.api.router",
    "/audit": "console.accounts.audit_api.router",
}


def _documented(view: Any) -> Any:
    """The OpenAPI document: for the same readers as what it describes."""

    @wraps(getattr(view, "func", view))
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            reader(request)
        except Problem as refused:
            return refused.response()
        answer: HttpResponse = view(request, *args, **kwargs)
        return answer

    return guarded


def build() -> NinjaAPI:
    # No docs_url: Swagger's page needs inline scripts, which the CSP forbids.
    api = NinjaAPI(
        title="Quarterdeck",
        version="1",
        description="The operations console of a data platform. Errors are application/problem+json.",
        urls_namespace="api",
        docs_url=None,
        docs_decorator=_documented,
        auth=reader,
        renderer=Renderer(),
    )
    install(api)
    for prefix, router in ROUTERS.items():
        # An app may have no API yet; that the promised calls are there is tested (tests/api/test_contract.py).
        if find_spec(router.rpartition(".")[0]):
            api.add_router(prefix, router)
    return api


def urls(api: NinjaAPI) -> tuple[list[URLPattern | URLResolver], str, str]:
    """The API's addresses. It answers 401 by itself: nobody who calls it wants to be sent to the sign-in page."""
    patterns, app_name, namespace = api.urls
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            pattern.callback = login_not_required(pattern.callback)
    return patterns, app_name, namespace


api = build()
