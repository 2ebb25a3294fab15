from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "nexgent.api"
    label = "api"
