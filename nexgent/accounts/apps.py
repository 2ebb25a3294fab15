from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "nexgent.accounts"
    label = "accounts"

    def ready(self) -> None:
        from nexgent.accounts import outage
        from nexgent.api import throttling

        throttling.on_outage(outage.tell)
