"""A real web server process for tests: `python -m tests.streams.web_process PORT`.

Its snapshot provider stands in for the domain apps: an agent is visible in its own workspace, its held mints are in
Valkey, its only position is what the last event said.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID


def main() -> None:
    from nexgent.runtime import server  # the reactor comes first  # isort: skip
    import django

    django.setup()

    from channels.routing import get_default_application

    from agents.models import Agent
    from nexgent.events import bell, limits, registry
    from nexgent.events.models import Event
    from nexgent.events.records import Record

    def held_mints(agent_ids: Sequence[UUID]) -> Mapping[UUID, Iterable[str]]:
        with bell.connect() as valkey:
            return {agent: [mint.decode() for mint in valkey.smembers(f"test:held:{agent}")] for agent in agent_ids}

    def snapshot(agent_id: UUID) -> dict[str, Any]:
        return {
            "positions": [
                {"id": str(seq)} for seq in Event.objects.filter(stream_id=agent_id).values_list("seq", flat=True)
            ]
        }

    def agents_of(principal: Any) -> Any:
        return Agent.objects.filter(workspace_id=principal.workspace_id)

    def streams(principal: Any) -> list[UUID]:
        return [
            principal.workspace_id,
            *Agent.objects.filter(workspace_id=principal.workspace_id).values_list("id", flat=True),
        ]

    def html(record: Record) -> str:
        return f'<p id="event" hx-swap-oob="true">{record.type} {record.seq}</p>'

    registry._apps.clear()
    registry.register(
        "test",
        registry.Live(
            snapshot=snapshot,
            agent_visible=lambda principal, agent: Agent.objects.filter(
                id=agent, workspace_id=principal.workspace_id
            ).exists(),
            streams=streams,
            html=html,
            price_html=lambda agent, prices: f'<p id="prices">{sorted(prices.items())}</p>',
            held_mints=held_mints,
        ),
    )
    for name, value in os.environ.items():
        if name.startswith("LIMIT_"):
            setattr(limits, name.removeprefix("LIMIT_"), float(value))
    web = server.build(get_default_application(), host="127.0.0.1", port=int(sys.argv[1]))
    web.run()


if __name__ == "__main__":
    main()
