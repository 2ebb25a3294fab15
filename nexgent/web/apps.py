from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "nexgent.web"
    label = "web"
