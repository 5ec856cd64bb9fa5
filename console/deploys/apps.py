from django.apps import AppConfig


class DeploysConfig(AppConfig):
    name = "console.deploys"
    label = "deploys"
