from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "nexgent.accounts"
    label = "accounts"

    def ready(self) -> None:
        from django.db.backends.signals import connection_created
        from django.db.models.signals import post_migrate

        from nexgent.accounts import audit, outage
        from nexgent.api import throttling

        throttling.on_outage(outage.tell)
        connection_created.connect(audit.watch, dispatch_uid="nexgent.accounts.audit")
        post_migrate.connect(audit.forget, dispatch_uid="nexgent.accounts.audit")
