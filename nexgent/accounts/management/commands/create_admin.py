"""`manage.py create_admin`: the first administrator. Never asks, never changes an existing user."""

import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from nexgent.accounts import services
from nexgent.errors import InvalidInput, Refusal


class Command(BaseCommand):
    help = "Makes the first administrator: superuser, and owner of a workspace."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", default=settings.ENV.admin_email, help="who signs in (default: ADMIN_EMAIL)")
        parser.add_argument(
            "--if-none", action="store_true", help="say nothing when an administrator exists (for start-up scripts)"
        )

    def handle(self, *_args: Any, email: str, if_none: bool, **_options: Any) -> None:
        given = settings.ENV.admin_password.get_secret_value()
        password = given or secrets.token_urlsafe(12)
        try:
            user = services.create_first_admin(email, password, must_change_password=not given)
        except InvalidInput as problem:
            reasons = " ".join(f"{field}: {message}" for field, message in problem.problems.items())
            raise CommandError(f"No administrator was made (ADMIN_EMAIL, ADMIN_PASSWORD). {reasons}") from problem
        except Refusal as problem:
            if if_none and problem.code == "ADMIN_EXISTS":
                return
            raise CommandError(str(problem)) from problem
        if given:
            self.stdout.write(f"Administrator {user.email}, with the password of ADMIN_PASSWORD.")
        else:
            self.stdout.write(f"Administrator {user.email}, password {password}")
            self.stdout.write("This password is shown once and must be changed at the first sign-in.")
