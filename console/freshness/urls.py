from __future__ import annotations

from django.urls import path

from console.freshness import views

app_name = "freshness"
urlpatterns = [
    path("", views.freshness, name="freshness"),
    path("tasks/<str:name>/attest/", views.attest, name="attest"),
    path("tasks/<str:name>/resume/", views.resume, name="resume"),
    path("<str:name>/reload/", views.reload, name="reload"),
    path("<str:name>/", views.table, name="table"),
    path("<str:name>/lag.json", views.lag, name="lag"),
]
