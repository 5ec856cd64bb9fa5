from django.apps import AppConfig


class SchedulerConfig(AppConfig):
    name = "console.scheduler"
    label = "scheduler"

    def ready(self) -> None:
        from console.operations.kinds import register
        from console.scheduler.takeover_kind import KINDS  # the models are there only now

        for kind in KINDS:
            register(kind)
