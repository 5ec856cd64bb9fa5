from __future__ import annotations

from django.urls import path

from console.pools import edit_views, views

app_name = "pools"
urlpatterns = [
    path("", views.pools, name="pools"),
    path("new/", edit_views.edit, name="new"),
    path("<path:name>/edit/", edit_views.edit, name="edit"),
]
