from __future__ import annotations

from django.urls import path

from console.incidents import views

app_name = "incidents"
urlpatterns = [
    path("", views.incidents, name="list"),
    path("export.csv", views.export, name="export"),
    path("maintenance/", views.maintenance, name="maintenance"),
    path("maintenance/<int:pk>/cancel/", views.cancel, name="cancel"),
    path("runbooks/", views.runbook_list, name="runbooks"),
    path("runbooks/<slug:slug>/", views.runbook, name="runbook"),
    path("<int:pk>/", views.incident, name="one"),
    path("<int:pk>/<str:word>/", views.act, name="act"),
]
