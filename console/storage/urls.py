from __future__ import annotations

from django.urls import path

from console.storage import views

app_name = "storage"
urlpatterns = [
    path("", views.storage, name="storage"),
    path("<str:id>/expire/", views.expire, name="expire"),
]
