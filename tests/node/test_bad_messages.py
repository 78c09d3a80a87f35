"""A node survives whatever a producer sends: it is taken off, recorded or dropped, and the next message is served."""

import base64
import json
import zlib
from struct import pack

import pytest

from tests.acceptance import brokers
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.node import batches, raw
from tests.node.raw import Message, good, headers

pytestmark = pytest.mark.acceptance

FAULT = """
    SELECT f.reason FROM refused_line f JOIN batch b ON b.id = f.batch_id
    WHERE b.state = 'refused' ORDER BY b.created_at DESC, b.id DESC LIMIT 1"""


def serves(world: World, *messages: Message, then: str) -> None:
    """Send the messages and a good one behind them; return once that one is a batch and the broker is empty."""
    raw.put(world.broker_url, [*messages, good(then)])
    batches.taken(world, then)
    until(lambda: brokers.is_without_messages(world.broker_url), "all messages are taken")
    assert world.nodes[0].is_running()
    assert len(world.nodes) == 1


def reason(world: World) -> str:
    return str(world.query(FAULT)[0]["reason"])


@pytest.mark.parametrize(
    "body", ['"just a string"', "[1,2,3,4]", "[[],{}]", "{}", "null", "5", "[5,{},{}]", "", "[[],5,{}]"]
)
def test_a_body_of_another_form_is_a_refused_batch_with_its_bytes(world: World, body: str) -> None:
    sent = headers()

    serves(world, Message(body=body.encode(), headers=sent), then=f"behind {body}")

    assert batches.taken(world, f"message:{sent['id']}")["state"] == "refused"
    kept = world.query(
        "SELECT m.raw FROM refused_message m JOIN batch b ON b.id = m.batch_id WHERE token = :t",
        t=f"message:{sent['id']}",
    )
    assert [bytes(row["raw"]) for row in kept] == [body.encode()]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (Message(headers={"id": "no task"}), "'task' is missing"),
        (Message(headers={"task": ["darkroom.enqueue"], "id": "listed"}), "is not known"),
        (Message(headers={"task": "darkroom.enqeue", "id": "misspelt"}), "did you mean 'darkroom.enqueue'?"),
        (Message(headers={"task": "celery.chain", "id": "celery's own"}), "is not known"),
        (Message(headers={"task": "darkroom.submit", "id": "a step"}), "does not belong in the queue"),
        (Message(headers={"task": "darkroom.dropped", "id": "inside"}), "is not known"),
        (Message(headers=headers(), content_type="application/x-python-serialize", body=b"cos\n"), "content type"),
        (Message(headers=headers(), content_type=None, body=b"{}"), "content type must be application/json"),
        (Message(headers=headers(compression="application/x-gzip"), body=b"no zlib"), "cannot be decompressed"),
        (Message(headers=headers(compression="rot13"), body=b"[]"), "compression 'rot13' is not known"),
        (Message(headers=headers(), body=b"[" * 100_000), "nested too deeply"),
        (Message(headers=headers(), body=b"[[], {}"), "not JSON"),
        (Message(headers=headers(eta="2999-01-01T00:00:00"), body=b"[[],{},{}]"), "eta"),
        (Message(headers=headers(expires=1), body=b"[[],{},{}]"), "expires"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_reason(world: World, changed: Message, words: str) -> None:
    serves(world, changed, then=f"behind {words} {changed.headers.get('id')}")

    assert words in reason(world)


def test_a_message_without_an_id_is_known_by_its_bytes(world: World) -> None:
    before = world.count("batch", "token LIKE 'message:sha256:%'")

    serves(world, *[Message(body=b"[1,2]", headers={"task": raw.ENQUEUE})] * 2, then="behind twins without an id")

    assert world.count("batch", "token LIKE 'message:sha256:%'") == before + 1


def test_messages_whose_ids_are_no_text_are_recorded_each_by_itself(world: World) -> None:
    before = world.count("refused_message")
    bodies = [b"[1, 1]", b"[2, 2]"]

    serves(world, *[Message(body=body, headers={"task": raw.ENQUEUE, "id": [1]}) for body in bodies], then="listed ids")

    until(lambda: world.count("refused_message") == before + 2, "both are recorded")


def test_a_refused_message_is_found_under_the_token_that_its_producer_gave(world: World) -> None:
    body = json.dumps([[], {"batch": {"token": "misspelt task"}, "requests": [raw.MUG]}, {}]).encode()

    serves(world, Message(body=body, headers=headers(task="darkroom.enqeue")), then="behind a misspelt task")

    assert batches.taken(world, "misspelt task")["state"] == "refused"


def test_a_body_that_grows_a_thousandfold_when_it_is_decompressed_is_refused(world: World) -> None:
    bomb = base64.b64encode(zlib.compress(b"[" + b" " * 200_000_000)).decode()
    message = Message(body=bomb.encode(), headers=headers(compression="application/x-gzip"))
    packed = {"body_encoding": "base64"} if brokers.is_redis(world.broker_url) else {}
    amqp = message.body if packed else base64.b64decode(bomb)

    serves(world, Message(body=amqp, headers=message.headers, properties=packed), then="behind a bomb")

    # RabbitMQ counts no message that is being read, and this one takes longer than the one behind it.
    until(lambda: "permitted are 16,777,216" in str(world.query(FAULT)), "it is refused")


def test_a_body_of_10_mb_holds_up_nothing_and_what_is_beyond_the_bound_is_refused(world: World) -> None:
    large = json.dumps([[], {"batch": {"token": "large", "more": "x" * 10_000_000}, "requests": []}, {}]).encode()
    over = Message(body=b" " * 17_000_000, headers=headers())

    serves(world, Message(body=large, headers=headers()), over, then="behind large ones")

    assert batches.taken(world, "large")["state"] == "refused"
    assert "17,000,000 bytes" in reason(world)


@pytest.mark.parametrize(
    "entry",
    [
        b"\xff\xfe garbage",
        b"null",
        b"5",
        b"[]",
        b"{}",
        b"[" * 200_000,
        b'{"body": 5, "headers": {}, "properties": {}}',
        b'{"body": "e30", "headers": [], "properties": {}}',
        b'{"body": "e30", "headers": {"task": "darkroom.enqueue"}, "properties": 7}',
        b'{"body": "?", "headers": {}, "properties": {"body_encoding": "base64", "delivery_tag": {}}}',
        b'{"body": "x", "headers": {}, "properties": {"body_encoding": "rot13", "delivery_tag": [1]}}',
        b'{"body": "\\ud800", "headers": {}, "properties": {"priority": Infinity, "delivery_info": 3}}',
        b'{"body": "[]", "headers": {"x": ' + b"[" * 300 + b"]" * 300 + b'}, "properties": {}}',
    ],
)
def test_no_entry_of_a_redis_list_harms_a_node(world: World, entry: bytes) -> None:
    if not brokers.is_redis(world.broker_url):
        pytest.skip("a list of Redis")
    before = world.count("batch", "state = 'refused'")

    serves(world, Message(raw=entry), then=f"behind {entry[:60]!r}{len(entry)}")

    assert world.count("batch", "state = 'refused'") == before + 1


@pytest.mark.parametrize(
    "properties",
    [
        raw.table(b"T", pack(">Q", 2**63)),
        raw.table(b"A", pack(">I", 9) + b"T" + pack(">Q", 2**62)),
        raw.table(b"D", pack(">Bi", 255, 1)),
        pack(">H", 0x8000) + b"\x02\xff\xfe",
        pack(">H", 0x0080) + b"\x04\xc3\x28\xa0\xa1",
    ],
    ids=["an instant beyond the calendar", "the same in a list", "a decimal", "no UTF-8", "no UTF-8 in an id"],
)
def test_no_properties_of_amqp_harm_a_node(world: World, properties: bytes) -> None:
    if brokers.is_redis(world.broker_url):
        pytest.skip("properties of AMQP")
    before = world.count("batch", "state = 'refused'")

    serves(world, Message(raw=properties, body=b"[1]"), then=f"behind {properties!r}")

    assert world.count("batch", "state = 'refused'") == before + 1


@pytest.mark.parametrize("queue", ["darkroom.poll", "darkroom.maintenance", "darkroom.probe", "darkroom.submit"])
def test_what_makes_no_sense_in_another_queue_is_dropped_logged_and_counted(world: World, queue: str) -> None:
    bodies = [b"5", b"[[[[1,2,3]]],{},{}]", b'[[""],{},{}]', b'[[[["x"]]],{},{}]', b'[[1],{"a":1},{}]']
    before = world.count("batch", "state = 'refused'")

    serves(
        world,
        *[Message(body=body, headers=headers(task=queue), queue=queue) for body in bodies],
        then=f"behind the bad ones of {queue}",
    )

    def counted() -> list[int]:
        rows = world.query("SELECT messages FROM dropped_message WHERE queue = :q", q=queue)
        return [row["messages"] for row in rows]

    # RabbitMQ counts no message that a node is reading.
    until(lambda: counted() == [len(bodies)], "each is counted once")
    assert "message.dropped" in world.nodes[0].words()
    assert world.count("batch", "state = 'refused'") == before


def test_a_batch_in_a_queue_of_steps_is_taken(world: World) -> None:
    lost = good("in the wrong queue")

    serves(world, Message(body=lost.body, headers=lost.headers, queue="darkroom.poll"), then="behind the wrong queue")

    assert batches.taken(world, "in the wrong queue")["state"] == "open"
