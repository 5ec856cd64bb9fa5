from django.apps import AppConfig


class StorageConfig(AppConfig):
    name = "console.storage"
    label = "storage"

    def ready(self) -> None:
        from console.lib import metrics
        from console.operations import kinds
        from console.storage.expire_kind import KIND  # the models are there only now
        from console.storage.metrics import collect

        metrics.register("storage", collect)
        kinds.register(KIND)
