from django.apps import AppConfig


class FleetsConfig(AppConfig):
    name = "console.fleets"
    label = "fleets"
