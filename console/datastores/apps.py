from django.apps import AppConfig


class DatastoresConfig(AppConfig):
    name = "console.datastores"
    label = "datastores"

    def ready(self) -> None:
        from console.datastores.metrics import collect  # the models are there only now
        from console.lib.metrics import register

        register("datastores", collect)
