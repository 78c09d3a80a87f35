"""What was refused, dropped, or sent to a queue that no node reads, is seen by an operator."""

import json
from base64 import b64decode
from typing import Any

import pytest
from celery import Celery

from tests.acceptance import brokers
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.cli.conftest import run_here
from tests.node import batches, raw
from tests.node.raw import Message, headers

pytestmark = pytest.mark.acceptance

ESCAPE = b'[1, "\x1b[2J"]\n'


def darkroom(world: World, *arguments: str) -> str:
    return run_here(world.folder, world.settings, *arguments).stdout


def finding(world: World, part: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(darkroom(world, "doctor", "--json"))["findings"]
    return next(each for each in found if each["part"] == part)


def refuse(world: World) -> str:
    """Send a message that cannot be read, and return the token of its refused batch."""
    sent = headers()
    raw.put(world.broker_url, [Message(body=ESCAPE, headers=sent)])
    token = f"message:{sent['id']}"
    batches.taken(world, token)
    return token


def test_refused_batches_are_listed_with_their_reason(world: World) -> None:
    token = refuse(world)

    newest = json.loads(darkroom(world, "refused", "--json"))["batches"][0]

    assert (newest["token"], newest["field"], newest["size_bytes"]) == (token, "message", len(ESCAPE))
    assert "the body is not JSON" in newest["reason"]
    assert token in darkroom(world, "refused")


def test_the_bytes_of_a_refused_message_are_shown_with_nothing_that_a_terminal_acts_on(world: World) -> None:
    token = refuse(world)

    shown = darkroom(world, "refused", token, "--raw")
    stored = json.loads(darkroom(world, "refused", token, "--raw", "--json"))

    assert shown == '[1, "\\x1b[2J"]\\n\n'
    assert b64decode(stored["raw_base64"]) == ESCAPE


def test_the_doctor_counts_refused_batches_and_dropped_messages(world: World) -> None:
    raw.put(world.broker_url, [Message(body=b"5", headers=headers(task="darkroom.poll"), queue="darkroom.poll")])
    until(lambda: world.count("dropped_message"), "it is dropped")
    refuse(world)

    found = finding(world, "messages")

    assert found["verdict"] == "warning"
    assert "refused within 7 days" in found["detail"]
    assert "dropped from darkroom.poll" in found["detail"]


def test_messages_in_a_misspelled_queue_are_counted_with_what_was_meant(world: World) -> None:
    with Celery(broker=world.broker_url) as app:
        app.send_task("darkroom.enqueue", kwargs={}, queue="darkroom.enqeue", ignore_result=True)
    try:
        found = finding(world, "queues")
        # A node looks every few minutes; one that starts looks at once.
        other = world.node()
        until(lambda: "queue.not_read" in other.words(), "the node warns")
    finally:
        brokers.delete(world.broker_url, "darkroom.enqeue")

    assert found["verdict"] == "warning"
    assert "1 messages in darkroom.enqeue (did you mean darkroom.enqueue?)" in found["detail"]
    assert finding(world, "queues")["verdict"] == "ok"
    other.kill()
    world.nodes.remove(other)
