from django.apps import AppConfig


class FleetsConfig(AppConfig):
    name = "console.fleets"
    label = "fleets"

    def ready(self) -> None:
        from console.fleets import drain_kind, resize_kind  # the models are there only now
        from console.fleets.metrics import collect
        from console.fleets.scaling import protect_kind, switch_kind, termination
        from console.lib import metrics
        from console.operations import kinds

        metrics.register("fleets", collect)
        kinds.register(drain_kind.KIND)
        kinds.register(resize_kind.KIND)
        kinds.register(switch_kind.KIND)
        kinds.register(protect_kind.KIND)
        kinds.register(termination.KIND)
