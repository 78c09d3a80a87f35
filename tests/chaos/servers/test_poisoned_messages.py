"""Messages that are no messages, in every queue, while a batch is in mid-run: no node ends, nor does the next one."""

import pytest

from tests.acceptance import books, brokers, manifests
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.chaos import moments
from tests.node import batches, raw
from tests.node.raw import ENQUEUE, Message, good, headers

pytestmark = pytest.mark.chaos

BODIES = (b'"just a string"', b"[1,2,3,4]", b"[[],{}]", b"{}", b"null", b"5", b"[5,{},{}]", b"\xff\xfe")
ENTRIES = (b"\xff\xfe garbage", b"null", b"[]", b'{"body": "e30", "headers": {}, "properties": {}}')
"""What lies in a list of Redis as it is; the last one has no id in its headers."""
QUEUES = ("darkroom.submit", "darkroom.poll", "darkroom.collect", "darkroom.maintenance")


def poison(world: World) -> list[Message]:
    """Return what no node can make sense of, for the queue of batches and for others."""
    batches_of_none = [Message(body=body, headers=headers()) for body in BODIES]
    steps_of_none = [Message(body=b"5", headers=headers(task=queue), queue=queue) for queue in QUEUES]
    return [*batches_of_none, *of_redis(world), *steps_of_none]


def of_redis(world: World) -> list[Message]:
    return [Message(raw=entry) for entry in ENTRIES] if brokers.is_redis(world.broker_url) else []


def test_messages_that_cannot_be_read_end_no_node_and_hold_nothing_up(world: World) -> None:
    world.provider.set(**moments.SLOW_ANSWERS)
    first = world.node()
    world.submit(manifests.plain(moments.JOBS))
    moments.in_mid_run(world)

    raw.put(world.broker_url, [*poison(world), good("behind the poison")])
    batches.taken(world, "behind the poison")
    # Threads of the node record side by side: what it holds when it is killed comes back only after a while.
    records(world, refused=len(BODIES) + len(of_redis(world)), dropped=len(QUEUES))
    is_alive = first.is_running()
    first.kill()
    raw.put(world.broker_url, [*poison(world), good("for the next node")])
    second = world.node()
    world.provider.set(**moments.PROMPT_ANSWERS)
    batches.taken(world, "for the next node")
    world.wait_until_done_in_haste()

    assert (is_alive, second.is_running()) == (True, True)
    # What has no id is known by its bytes, and recorded once.
    records(world, refused=2 * len(BODIES) + len(of_redis(world)), dropped=2 * len(QUEUES))
    until(lambda: brokers.waiting(world.broker_url, ENQUEUE) == 0, "every message is taken off")
    books.check(world)


def records(world: World, *, refused: int, dropped: int) -> None:
    """Wait until exactly this many messages are recorded."""
    until(lambda: recorded(world) == (refused, dropped), f"{refused} messages refused and {dropped} dropped")


def recorded(world: World) -> tuple[int, int]:
    [counts] = world.query("""
        SELECT (SELECT count(*) FROM refused_message) AS refused,
               (SELECT coalesce(sum(messages), 0) FROM dropped_message) AS dropped
    """)
    return counts["refused"], counts["dropped"]
