from django.apps import AppConfig


class RuntimeConfig(AppConfig):
    name = "nexgent.runtime"
    label = "runtime"
