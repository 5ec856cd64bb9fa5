from django.apps import AppConfig


class PoolsConfig(AppConfig):
    name = "console.pools"
    label = "pools"

    def ready(self) -> None:
        from console.operations.kinds import register
        from console.pools.edit_kind import KIND  # the models are there only now

        register(KIND)
