from __future__ import annotations

from django.urls import URLPattern, path

from console.fleets import hands_views, views
from console.fleets.scaling import views as scaling

app_name = "fleets"
# A queue's name may hold a slash: the longer addresses are tried first.
urlpatterns: list[URLPattern] = [
    path("", views.fleets, name="fleets"),
    path("orders/<int:pk>/<str:instance>/<str:word>/", hands_views.ask, name="ask"),
    path("<path:queue>/workers/<path:node>/", views.worker, name="worker"),
    path("<path:queue>/drain/", hands_views.drain, name="drain"),
    path("<path:queue>/resize/", hands_views.resize, name="resize"),
    path("<path:queue>/autoscaling/", scaling.switch, name="switch"),
    path("<path:queue>/replay/", scaling.replay, name="replay"),
    path("<path:queue>/wait.json", scaling.wait_chart, name="wait"),
    path("<path:queue>/decisions/", scaling.decisions, name="decisions"),
    path("<path:queue>/chart.json", views.chart, name="chart"),
    path("<path:queue>/", views.fleet, name="fleet"),
]
