from django.apps import AppConfig


class SchedulerConfig(AppConfig):
    name = "console.scheduler"
    label = "scheduler"
