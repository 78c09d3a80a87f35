"""A client with the broker's URL can ping a node, and cannot control it."""

from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from kombu import Exchange

from tests.acceptance import brokers
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.node import batches, raw

pytestmark = pytest.mark.acceptance

MAILBOX = Exchange("celery.pidbox", type="fanout", durable=False, delivery_mode="transient")
REFUSED = "remote_control.refused"

HARMFUL: list[tuple[str, dict[str, Any]]] = [
    ("shutdown", {}),
    ("cancel_consumer", {"queue": raw.ENQUEUE}),
    ("add_consumer", {"queue": "elsewhere"}),
    ("pool_restart", {"reload": True}),
    ("pool_shrink", {"n": 15}),
    ("autoscale", {"max": 1, "min": 0}),
    ("rate_limit", {"task_name": raw.ENQUEUE, "rate_limit": "1/d"}),
    ("time_limit", {"task_name": raw.ENQUEUE, "hard": 0.001}),
    ("revoke", {"task_id": "any", "terminate": True}),
    ("revoke_by_stamped_headers", {"headers": {"a": "b"}}),
    ("terminate", {"task_id": "any", "signal": "KILL"}),
    ("election", {"id": "1", "topic": "task", "action": {"task": "darkroom.probe", "args": [], "kwargs": {}}}),
    ("enable_events", {}),
    ("disable_events", {}),
    ("hello", {"from_node": "x", "revoked": {"any": 1}}),
    ("memdump", {}),
    ("memsample", {}),
    ("objgraph", {}),
    ("conf", {"with_defaults": True}),
    ("report", {}),
    ("stats", {}),
    ("registered", {}),
    ("active", {}),
    ("__class__", {}),
]


def ping(app: Celery) -> object:
    return app.control.inspect(timeout=1.0).ping()


def test_a_node_obeys_no_command_of_remote_control_but_ping(world: World) -> None:
    # A message of pub/sub has no receiver until the node listens; `ready` in its log comes just before that.
    with Celery(broker=world.broker_url) as app:
        until(lambda: ping(app), "ping answers")
        before = world.nodes[0].words().count(REFUSED)

        replies = [
            app.control.broadcast(name, arguments=arguments, reply=index == 0, timeout=0.2)
            for index, (name, arguments) in enumerate(HARMFUL)
        ]

        until(lambda: world.nodes[0].words().count(REFUSED) == before + len(HARMFUL), "all of them are logged")
        assert not any(replies)
        assert ping(app)
    batches.send(world, batch={"token": "after remote control"}, requests=[raw.MUG])
    batches.wait_until_rendered(world, "after remote control", 1)
    assert world.nodes[0].is_running()
    assert len(world.nodes) == 1


NONSENSE: list[object] = [
    5,
    None,
    "ping",
    ["ping"],
    {},
    {"method": ["ping"]},
    {"method": "ping", "destination": 5},
    {"method": "ping", "pattern": "(a+)+$", "matcher": "pcre"},
    {"method": "ping", "reply_to": 5, "ticket": []},
    {"method": "ping", "reply_to": {"exchange": "", "routing_key": "darkroom.enqueue"}, "ticket": "1"},
]


def test_control_messages_that_make_no_sense_are_refused_and_send_no_answer(world: World) -> None:
    batches_before = world.count("batch")
    with Celery(broker=world.broker_url) as app, app.connection_for_write() as connection:
        until(lambda: ping(app), "ping answers")
        before = world.nodes[0].words().count(REFUSED)
        producer = connection.Producer(serializer="json")

        # A clock that is no number makes Celery's own mailbox fail.
        for body in NONSENSE:
            producer.publish(body, exchange=MAILBOX, declare=[MAILBOX], headers={"clock": "x"})

        until(lambda: world.nodes[0].words().count(REFUSED) == before + len(NONSENSE), "all of them are logged")
        assert ping(app)
    assert world.count("batch") == batches_before


def test_an_event_of_another_node_runs_no_task(world: World) -> None:
    refused = world.count("batch", "state = 'refused'")
    task = {"task": raw.ENQUEUE, "args": [5], "kwargs": {}, "options": {}}
    token = f"behind an election {uuid4()}"
    with Celery(broker=world.broker_url) as app, app.connection_for_write() as connection:
        sender = app.events.Dispatcher(connection, hostname="celery@elsewhere")
        for kind in ("worker-elect", "worker-elect-ack"):
            sender.send(kind, id="1", topic="task", action=task, cver=1, ver=1)

    batches.send(world, batch={"token": token}, requests=[raw.MUG])
    batches.wait_until_rendered(world, token, 1)
    until(lambda: brokers.is_without_messages(world.broker_url), "all messages are taken")

    assert world.count("batch", "state = 'refused'") == refused


def test_a_node_with_remote_control_on_obeys_shutdown(world: World) -> None:
    node = world.node(DARKROOM_REMOTE_CONTROL="1")
    with Celery(broker=world.broker_url) as app:
        until(lambda: len(app.control.inspect(timeout=1.0).ping() or {}) == len(world.nodes), "both nodes answer")

        app.control.shutdown()

        until(lambda: not node.is_running(), "the node that permits it ends")
    assert world.nodes[0].is_running()
    world.nodes.remove(node)
