from django.apps import AppConfig


class FleetsConfig(AppConfig):
    name = "console.fleets"
    label = "fleets"

    def ready(self) -> None:
        from console.fleets.metrics import collect  # the models are there only now
        from console.lib.metrics import register

        register("fleets", collect)
