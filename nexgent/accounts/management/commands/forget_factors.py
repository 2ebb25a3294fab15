"""`manage.py forget_factors EMAIL`: takes all second factors off a user who lost them; they are told by mail."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from nexgent.accounts import factors, services, sessions
from nexgent.accounts.models import User


class Command(BaseCommand):
    help = "Takes all second factors off a user and ends their sessions; the password stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *_args: Any, email: str, **_options: Any) -> None:
        user = User.objects.filter(email=services.email_fold(email)).first()
        if user is None:
            raise CommandError(f"There is no user {email}.")
        count = factors.forget_all(user)
        sessions.end_all(user.pk)
        self.stdout.write(f"{count} factors of {user.email} are gone, and every session has ended.")
