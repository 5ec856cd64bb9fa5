from django.apps import AppConfig


class DeploysConfig(AppConfig):
    name = "console.deploys"
    label = "deploys"

    def ready(self) -> None:
        from console.deploys.kind import KIND
        from console.operations.kinds import register

        register(KIND)
