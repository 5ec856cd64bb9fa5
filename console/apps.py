from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "console"
    label = "console"

    def ready(self) -> None:
        from console import celery, checks  # noqa: F401 - shared tasks find their app, checks register
