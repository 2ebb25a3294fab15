from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "agents"

    def ready(self) -> None:
        from agents.live import LIVE
        from nexgent.events import registry

        registry.register(self.name, LIVE)
