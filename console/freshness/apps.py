from django.apps import AppConfig


class FreshnessConfig(AppConfig):
    name = "console.freshness"
    label = "freshness"
