"""An API that fails in every way, on the same rails as the real one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from django.db import OperationalError
from django.http import Http404, HttpRequest
from django.urls import path
from ninja import NinjaAPI, Schema

from console.api import urls
from console.lib.api import Change, Problem, Remembered, Renderer, Status, install, not_found

api = NinjaAPI(urls_namespace="failing", docs_url=None, auth=None, renderer=Renderer())
install(api)
SECRET = "hunter2-in-a-traceback"


class Slots(Schema):
    total: int
    names: list[str] = []


class Resize(Change):
    slots: Slots


@api.get("/crash")
def crash(request: HttpRequest) -> None:
    raise RuntimeError(SECRET)


@api.get("/database")
def database(request: HttpRequest) -> None:
    raise OperationalError(SECRET)


@api.get("/missing")
def missing(request: HttpRequest) -> None:
    raise Http404("There is no such worker.")


@api.get("/fleets/{name}")
def fleet(request: HttpRequest, name: str, limit: int = 10) -> None:
    not_found("fleet", name, ["default", "cpu", "io"])


@api.post("/resize")
def resize(request: HttpRequest, payload: Resize) -> dict[str, Any]:
    return payload.dict()


@api.post("/conflict")
def conflict(request: HttpRequest) -> None:
    raise Problem(409, "worker i-1 already has an operation.", code="operation-active", operation=7)


@api.get("/remembered", response=Remembered)
def remembered(request: HttpRequest) -> dict[str, Any]:
    helsinki = timezone(timedelta(hours=2))
    return {
        "status": Status.DEGRADED,
        "reason": "one of two is late",
        "as_of": datetime(2026, 11, 22, 5, 7, 1, 234567, tzinfo=helsinki),
        "age_s": 1.5,
    }


@api.get("/naive")
def naive(request: HttpRequest) -> dict[str, Any]:
    return {"at": datetime(2026, 11, 22, tzinfo=UTC).replace(tzinfo=None)}


@api.get("/nan")
def nan(request: HttpRequest) -> dict[str, Any]:
    return {"lag_s": float("nan")}


urlpatterns = [path("api/v1/", urls(api))]
