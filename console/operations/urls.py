from __future__ import annotations

from django.urls import path

from console.operations import views

app_name = "operations"
urlpatterns = [
    path("", views.operations, name="list"),
    path("<int:pk>/", views.operation, name="one"),
    path("<int:pk>/order/", views.order, name="order"),
]
