from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "nexgent.accounts"
    label = "accounts"
