"""Whatever is sent, in bulk: bad messages leave a record, and good ones between them are served."""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.acceptance import brokers
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.node import raw
from tests.node.raw import ENQUEUE, Message

pytestmark = pytest.mark.acceptance

MESSAGES = 550
"""To each broker, and a good one between every five of them."""

GOOD = "SELECT id FROM batch WHERE state = 'open' AND token = ANY(:tokens)"

# RabbitMQ itself takes no header that is infinite or no number.
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers(-(2**31), 2**31) | FLOATS | st.text(max_size=20)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)
CALLS = st.tuples(
    JSON | st.lists(JSON, max_size=3),
    JSON | st.fixed_dictionaries({}, optional={"batch": JSON, "requests": JSON}),
    JSON,
)
BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"NaN", b"[[], {}, -Infinity]", b'[[Infinity], {"batch": NaN}, {}]']),
    JSON.map(lambda value: json.dumps(value).encode()),
    CALLS.map(lambda value: json.dumps(value).encode()),
    CALLS.map(lambda value: json.dumps(value).encode()[:-3]),
    JSON.map(lambda value: json.dumps(value).encode("utf-16")),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "task": st.sampled_from([ENQUEUE, ENQUEUE, "darkroom.enqeue", "celery.chain", "darkroom.poll"]) | JSON,
        "id": st.just("a new one") | st.lists(SCALARS, max_size=2) | st.integers(0, 9),
        "eta": JSON,
        "expires": JSON,
        "compression": st.sampled_from(["application/x-gzip", "application/x-bz2", "zstd"]) | JSON,
        "lang": JSON,
        "retries": JSON,
        "timelimit": JSON,
        "kwargsrepr": JSON,
        "ignore_result": JSON,
        "darkroom-unreadable": JSON,
        "stamps": JSON,
    },
)
CONTENT_TYPES = st.sampled_from(
    ["application/json", "application/x-python-serialize", "application/data", "application/x-yaml", "text/plain", None]
)
ENCODINGS = st.sampled_from(
    ["utf-8", "binary", "utf-16", "latin-1", "idna", "rot13", "punycode", "no such codec", None]
)
QUEUES = st.sampled_from([ENQUEUE] * 5 + ["darkroom.poll", "darkroom.maintenance"])
OF_AMQP = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.integers(0, 255),
        "delivery_mode": st.sampled_from([1, 2]),
        "correlation_id": st.text(max_size=20),
        "reply_to": st.text(max_size=20),
        "message_id": st.text(max_size=20),
        "type": st.text(max_size=20),
        "app_id": st.text(max_size=20),
    },
)
OF_REDIS = st.fixed_dictionaries(
    # Always there, so that the entry of a message is the same whenever it is made.
    {"delivery_tag": JSON},
    optional={
        "priority": JSON,
        "delivery_mode": JSON,
        "delivery_info": JSON,
        "body_encoding": st.sampled_from(["base64", "utf-8", "rot13"]) | JSON,
        "correlation_id": JSON,
        "reply_to": JSON,
    },
)


def messages(properties: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    return st.builds(
        Message,
        body=BODIES,
        headers=HEADERS,
        content_type=CONTENT_TYPES,
        content_encoding=ENCODINGS,
        properties=properties,
        queue=QUEUES,
    )


ENTRIES = st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode())
REDIS = messages(OF_REDIS) | st.builds(Message, body=BODIES, raw=ENTRIES, queue=QUEUES)
AMQP = messages(OF_AMQP)


def test_whatever_is_sent_is_recorded_or_counted_and_good_messages_between_are_served(world: World) -> None:
    bad = generated(REDIS if brokers.is_redis(world.broker_url) else AMQP)
    tokens = [f"good {uuid4()}" for _ in bad[::5]]
    dropped = count_dropped(world)

    raw.put(world.broker_url, between(bad, tokens))

    until(lambda: len(world.query(GOOD, tokens=tokens)) == len(tokens), "every good one is a batch")
    until(lambda: brokers.is_without_messages(world.broker_url), "the queues are empty")
    # RabbitMQ counts no message that a node is reading.
    until(lambda: not lacking(world, bad), "every bad one is recorded")
    until(lambda: count_dropped(world) >= dropped + sum(map(is_dropped, bad)), "the others are counted", timeout_s=20)
    assert world.nodes[0].is_running()


def generated(kind: st.SearchStrategy[Message]) -> list[Message]:
    """Return so many messages of a kind, always the same: they are sent in bulk, which shrinking is no use for."""
    found: list[Message] = []

    @settings(max_examples=MESSAGES, phases=[Phase.generate], deadline=None, derandomize=True, database=None)
    @given(kind)
    def collect(message: Message) -> None:
        found.append(named(message))

    collect()
    assert len(found) >= MESSAGES
    return found


def named(message: Message) -> Message:
    """Give the message an id of its own where it has one."""
    own = {"id": str(uuid4())} if message.headers.get("id") == "a new one" else {}
    return replace(message, headers={**message.headers, **own})


def between(bad: Sequence[Message], tokens: Sequence[str]) -> Iterator[Message]:
    for number, message in enumerate(bad):
        yield message
        if number % 5 == 0:
            yield raw.good(tokens[number // 5])


def count_dropped(world: World) -> int:
    return int(world.query("SELECT coalesce(sum(messages), 0) AS n FROM dropped_message")[0]["n"])


def is_dropped(message: Message) -> bool:
    """Whether the message surely makes no sense in its queue.

    One that is meant as a batch is taken from any queue, if its envelope can be read.
    """
    is_elsewhere = message.queue != ENQUEUE
    return is_elsewhere and (message.raw is not None or message.headers.get("task") not in (ENQUEUE, message.queue))


def lacking(world: World, bad: Sequence[Message]) -> list[Message]:
    """Return those in the queue for batches of which there is no record: by the hash of the bytes, or by the id."""
    hashes = {row["sha256"] for row in world.query("SELECT sha256 FROM refused_message")}
    tokens = {row["token"] for row in world.query("SELECT token FROM batch WHERE state = 'refused'")}
    return [each for each in bad if each.queue == ENQUEUE and not (known_by(each) & (hashes | tokens))]


def known_by(message: Message) -> set[str]:
    """Names under which a record may be kept: which one depends on how far the message could be read."""
    recoded = message.body.decode("latin-1").encode()
    forms = (message.body, recoded, raw.entry(message), _unpacked(message.body))
    hashes = {hashlib.sha256(each).hexdigest() for each in forms}
    return {f"message:{message.headers.get('id')}", *hashes, *(f"message:sha256:{each}" for each in hashes)}


def _unpacked(body: bytes) -> bytes:
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        return body
