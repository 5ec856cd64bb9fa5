from django.apps import AppConfig


class IncidentsConfig(AppConfig):
    name = "console.incidents"
    label = "incidents"

    def ready(self) -> None:
        from console.incidents.metrics import collect  # the models are there only now
        from console.lib.metrics import register

        register("incidents", collect)
