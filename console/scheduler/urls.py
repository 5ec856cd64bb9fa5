from __future__ import annotations

from django.urls import path

from console.scheduler import views

app_name = "scheduler"
urlpatterns = [
    path("", views.scheduler, name="scheduler"),
    path("switchover/", views.switchover, name="switchover"),
    path("failover/", views.failover, name="failover"),
    path("failover-pause/", views.failover_pause, name="failover-pause"),
]
