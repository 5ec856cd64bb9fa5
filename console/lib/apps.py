from django.apps import AppConfig


class LibConfig(AppConfig):
    name = "console.lib"
    label = "lib"
