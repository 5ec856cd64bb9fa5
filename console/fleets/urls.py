from __future__ import annotations

from django.urls import URLPattern, path

from console.fleets import views

app_name = "fleets"
# A queue's name may hold a slash: the longer addresses are tried first.
urlpatterns: list[URLPattern] = [
    path("", views.fleets, name="fleets"),
    path("<path:queue>/workers/<path:node>/", views.worker, name="worker"),
    path("<path:queue>/drain/", views.drain, name="drain"),
    path("<path:queue>/resize/", views.resize, name="resize"),
    path("<path:queue>/chart.json", views.chart, name="chart"),
    path("<path:queue>/", views.fleet, name="fleet"),
]
