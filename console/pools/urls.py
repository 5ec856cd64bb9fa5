from __future__ import annotations

from django.urls import path

from console.pools import views

app_name = "pools"
urlpatterns = [path("", views.pools, name="pools")]
