from django.apps import AppConfig


class FreshnessConfig(AppConfig):
    name = "console.freshness"
    label = "freshness"

    def ready(self) -> None:
        from console.freshness.repair_kind import KINDS  # the models are there only now
        from console.operations.kinds import register

        for kind in KINDS:
            register(kind)
