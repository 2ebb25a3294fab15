"""`manage.py postman`: writes the client collection that is made from the OpenAPI text."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from nexgent.api.document import document
from nexgent.api.postman import collection


class Command(BaseCommand):
    help = "Write the client collection (Postman 2.1) of the API."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", default="build/nexgent.postman_collection.json")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["file"])
        path.parent.mkdir(parents=True, exist_ok=True)
        made = collection(document())
        path.write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n")
        self.stdout.write(f"{path}: {sum(len(folder['item']) for folder in made['item'])} requests")
