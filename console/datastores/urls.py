from __future__ import annotations

from django.urls import path

from console.datastores import views

app_name = "datastores"
urlpatterns = [path("", views.datastores, name="datastores")]
