from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "nexgent.web"
    label = "web"

    def ready(self) -> None:
        from nexgent.web import live

        live.register()
