from django.apps import AppConfig


class SandboxConfig(AppConfig):
    name = "console.sandbox"
    label = "sandbox"
