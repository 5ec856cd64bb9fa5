from __future__ import annotations

from django.urls import path

from console.accounts import audit_views

app_name = "audit"
urlpatterns = [
    path("", audit_views.page, name="page"),
    path("export.csv", audit_views.export, name="export"),
]
