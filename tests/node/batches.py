"""What a foreign producer does: send a message, and look up by its token what became of it."""

from typing import Any
from uuid import uuid4

from celery import Celery

from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.node.document import block


def send(world: World, /, *args: object, **kwargs: object) -> str:
    """Send a message with these arguments and return its id."""
    return send_as(world, str(uuid4()), *args, **kwargs)


def send_as(world: World, message_id: str, /, *args: object, **kwargs: object) -> str:
    """Send a message under this id."""
    with Celery(broker=world.broker_url) as app:
        sent = app.send_task(
            "darkroom.enqueue",
            args=args,
            kwargs=kwargs,
            queue="darkroom.enqueue",
            task_id=message_id,
            ignore_result=True,
        )
        return str(sent.id)


def taken(world: World, token: str, *, timeout_s: float = 20.0) -> dict[str, Any]:
    """Wait for the batch of that token, and give it."""
    until(lambda: world.query(block("lookup"), token=token), f"a batch {token!r}", timeout_s=timeout_s)
    return world.query(block("lookup"), token=token)[0]


def faults(world: World, token: str) -> list[tuple[int, str | None, str]]:
    """Return line, key and field of each fault of a batch."""
    return [(row["line"], row["key"], row["field"]) for row in world.query(block("faults"), token=token)]


def wait_until_rendered(world: World, token: str, jobs: int) -> None:
    until(lambda: taken(world, token)["done"] == jobs, f"{jobs} images of {token!r}")
