"""Django with a test database for the families that need one, outside pytest: embedded servers, then migrations."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def fresh_database() -> Iterator[None]:
    """Start the embedded servers unless addresses are given, and run inside a new database that goes afterwards."""
    from tests import embedded  # starting the servers is its import's effect

    with ExitStack() as stack:
        stack.callback(embedded.pytest_unconfigure, None)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexgent.settings")
        import django

        django.setup()
        from django.test import utils

        utils.setup_test_environment()
        stack.callback(utils.teardown_test_environment)
        databases = utils.setup_databases(verbosity=0, interactive=False)
        stack.callback(utils.teardown_databases, databases, verbosity=0)
        yield
