"""The instants at which it hurts most: creates in progress whose answers are unknown, and images already paid for."""

import time
from collections.abc import Sequence
from itertools import product
from typing import Any
from uuid import UUID

import psutil
from celery import Celery

from tests.acceptance.nodes import WorkerNode
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from worker.core.rules.states import StepKind

JOBS = 60
SLOW_ANSWERS = {"latency_median_s": 0.3, "slow_s": 2.0, "faults": {"create": {"slow": 0.2}}}
"""Of ten creates, two have happened two seconds before their answer comes."""
PROMPT_ANSWERS = {"latency_median_s": 0.3, "faults": {}}
FENCES_BACK = 3
FOR_NOBODY: tuple[dict[str, Any], ...] = ({"job_id": UUID(int=0), "kind": "submit", "fence": 1},)
TICKETS = """
    SELECT j.id AS job_id, coalesce(s.kind, 'submit') AS kind, coalesce(s.fence, 3) AS fence
    FROM job j LEFT JOIN step s ON s.job_id = j.id"""
"""The ticket of each live step; for a job without one, a ticket that it may have had."""
SETTLE_S = 0.1
"""In which the server finishes the statements of a client that stands still."""
OPEN_TRANSACTIONS = """
    SELECT count(*) AS n FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"""


def in_mid_run(world: World, *, creates: int = 5) -> None:
    """Wait until jobs are in every stage at once: pending, so many being created with no answer yet, and done."""
    until(
        lambda: world.count("generation", "state = 'sending'") >= creates and world.count("result") >= 3,
        "creates are under way, and first images are in the store",
    )


def freeze_between_transactions(world: World, node: WorkerNode) -> None:
    """Freeze a node while none of its transactions is open: the server would end such a one only after a minute."""
    until(lambda: _is_frozen_well(world, node), "the node stands still between two transactions")


def _is_frozen_well(world: World, node: WorkerNode) -> bool:
    node.freeze()
    time.sleep(SETTLE_S)
    if world.query(OPEN_TRANSACTIONS)[0]["n"] == 0 and world.count("generation", "state = 'sending'"):
        return True
    node.thaw()
    return False


def kill(pid: int) -> None:
    """End a server at once, in the middle of whatever it does, and wait until it is gone."""
    server = psutil.Process(pid)
    server.kill()
    server.wait(timeout=10)


def send_every_ticket_again(world: World, *, copies: int) -> None:
    """Send, for each job, its ticket, those of its earlier leases, and one of every kind; and one for no job."""
    rows = world.query(TICKETS)
    earlier = [row | {"fence": row["fence"] - back} for row, back in product(rows, range(FENCES_BACK))]
    others = [row | {"kind": kind.value} for row, kind in product(rows, StepKind)]
    send_tickets(world, [*earlier * copies, *others, *FOR_NOBODY])


def send_tickets(world: World, tickets: Sequence[dict[str, Any]]) -> None:
    """Send a message for each ticket as a dispatcher does."""
    with Celery(broker=world.broker_url) as app, app.connection_for_write() as connection:
        for ticket in tickets:
            name = f"darkroom.{ticket['kind']}"
            arguments = ([(str(ticket["job_id"]), ticket["fence"], time.time())],)
            app.send_task(name, args=arguments, queue=name, connection=connection, ignore_result=True)
