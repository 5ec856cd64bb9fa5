from django.apps import AppConfig


class SchedulerConfig(AppConfig):
    name = "console.scheduler"
    label = "scheduler"

    def ready(self) -> None:
        from console.lib import metrics
        from console.operations import kinds
        from console.scheduler.metrics import collect  # the models are there only now
        from console.scheduler.takeover_kind import KINDS

        metrics.register("scheduler", collect)
        for kind in KINDS:
            kinds.register(kind)
