"""A real web server process without request limits: `python -m tests.openapi.server PORT`.

It waits two seconds for an order, then answers 202.
"""

import sys
from typing import Any


def main() -> None:
    from nexgent.runtime import server  # the reactor comes first  # isort: skip
    import django

    django.setup()

    from channels.routing import get_default_application

    from nexgent.api import throttling
    from trading.api import orders

    def unlimited(*_: Any) -> bool:
        return True

    throttling.Limit.allow_request = unlimited  # type: ignore[method-assign]
    orders.WAIT_SECONDS.update(dict.fromkeys(orders.WAIT_SECONDS, 2))
    web = server.build(get_default_application(), host="127.0.0.1", port=int(sys.argv[1]))
    web.run()


if __name__ == "__main__":
    main()
