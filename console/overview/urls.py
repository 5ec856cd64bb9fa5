from __future__ import annotations

from django.urls import path

from console.overview import views

app_name = "overview"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("search", views.found, name="search"),
    path("history/", views.history, name="history"),
    path("history/charts.json", views.history_charts, name="history-charts"),
]
