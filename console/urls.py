"""Every address of the console (CONTRACT: "Pages")."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from console import health
from console.api import api, urls
from console.incidents import views as incidents
from console.lib.favicon import favicon
from console.lib.style import style
from console.live.views import no_stream

urlpatterns = [
    path("", include("console.overview.urls")),
    path("scheduler/", include("console.scheduler.urls")),
    path("fleets/", include("console.fleets.urls")),
    path("freshness/", include("console.freshness.urls")),
    path("pools/", include("console.pools.urls")),
    path("datastores/", include("console.datastores.urls")),
    path("storage/", include("console.storage.urls")),
    path("deploys/", include("console.deploys.urls")),
    path("incidents/", include("console.incidents.urls")),
    path("i/<int:pk>", incidents.brief, name="incidents-brief"),
    path("i/<int:pk>/", incidents.brief),
    path("operations/", include("console.operations.urls")),
    path("accounts/", include("console.accounts.urls")),
    path("audit/", include("console.accounts.audit_urls")),
    path("style/", style, name="style"),
    path("admin/", admin.site.urls),
    path("api/v1/", urls(api)),
    path("favicon.ico", favicon),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.scrape),
    path("live/events", no_stream),
]
handler500 = "console.errors.failed"
