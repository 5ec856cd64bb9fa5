from django.apps import AppConfig


class DatastoresConfig(AppConfig):
    name = "console.datastores"
    label = "datastores"
