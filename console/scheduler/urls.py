from __future__ import annotations

from django.urls import path

from console.scheduler import views

app_name = "scheduler"
urlpatterns = [path("", views.scheduler, name="scheduler")]
