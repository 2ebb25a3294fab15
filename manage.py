#!/usr/bin/env python
"""Entry point of Django's commands, and of the supervisor, which does without Django."""

import os
import sys

if __name__ == "__main__":
    if sys.argv[1:] in (["up"], ["demo"]):
        from nexgent.runtime.up import main

        main(sys.argv[1])
        sys.exit()
    from nexgent.runtime import startup

    startup.begin(sys.argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexgent.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
