from django.apps import AppConfig


class StorageConfig(AppConfig):
    name = "console.storage"
    label = "storage"

    def ready(self) -> None:
        from console.lib.metrics import register
        from console.storage.metrics import collect  # the models are there only now

        register("storage", collect)
