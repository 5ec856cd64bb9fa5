from __future__ import annotations

from django.urls import path

from console.deploys import views

app_name = "deploys"
urlpatterns = [
    path("", views.deploys, name="list"),
    path("new/", views.new, name="new"),
    path("<int:pk>/", views.deploy, name="one"),
]
