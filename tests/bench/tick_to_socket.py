"""From a tick in the prices process to the frame at a client: publish, writer, Valkey, hub of a real web process,
WebSocket.

Ten clients, one tick every quarter of a second, so that no frame waits for the 200 ms between two of an agent.
"""

import threading

from prices import services as prices
from tests.bench import clients, fleet, sockets
from tests.bench.figures import Report
from tests.bench.installation import free_port, running

CLIENTS = 10
SECONDS = 40.0
EVERY_SECONDS = 0.26


def run(report: Report, scale: float) -> None:
    seconds = max(5.0, SECONDS * scale)
    mint = fleet.tokens(1)[0]
    people = [sockets.person(mint) for _ in range(CLIENTS)]
    fleet.publish([mint])
    prices.write_prices("thread")
    port, stop = free_port(), threading.Event()
    with running("web", port=port):
        addresses = [[f"ws://127.0.0.1:{port}/ws?agentId={agent_id}", token] for agent_id, token in people]
        publisher = threading.Thread(target=_publish, args=(stop, mint), daemon=True)
        publisher.start()
        found = sockets.listen(addresses, seconds, None)
        stop.set()
        publisher.join()
    sockets.told(report, "clients", found)
    report.distribution("tick to frame", found["ages"], p95="<= 60")


def _publish(stop: threading.Event, mint: str) -> None:
    while not stop.wait(EVERY_SECONDS):
        prices.publish([fleet.tick(mint, clients.price_now())])
