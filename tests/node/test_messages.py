import json

import pytest

from tests.acceptance import brokers
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.node import batches, database, document

pytestmark = pytest.mark.acceptance

MUG = {"key": "mug", "prompt": "A mug"}
BODY_BLOCKS = {True: "redis", False: "amqp"}
BRIEFLY_S = 2.5


def test_the_documents_celery_message_sent_before_any_worker_began_becomes_images(world: World) -> None:
    batches.wait_until_rendered(world, "order-4711", 2)

    kept = world.query("SELECT extra FROM job WHERE key = 'lamp'")
    assert batches.taken(world, "order-4711")["state"] == "open"
    assert kept == [{"extra": {"sku": "L-20"}}]


def test_the_documents_message_of_any_other_language_becomes_images(world: World) -> None:
    sent = document.run(world, BODY_BLOCKS[brokers.is_redis(world.broker_url)])

    assert sent.stderr == ""
    batches.wait_until_rendered(world, "order-4712", 1)


def test_the_documents_body_is_what_it_says_celery_sends() -> None:
    args, kwargs, rest = json.loads(document.block("message"))

    assert (args, sorted(kwargs), rest) == ([], ["batch", "requests"], {})


def test_a_message_with_faults_is_a_refused_batch_with_every_fault_of_every_line(world: World) -> None:
    requests = [MUG, {"key": "a", "prompt": ""}, {"key": "b", "prompt": "B", "image_size": "huge", "model": "none"}]

    batches.send(world, batch={"token": "faulty", "owner": "", "cap": 1}, requests=requests)
    found = batches.taken(world, "faulty")

    assert (found["state"], found["size"]) == ("refused", 0)
    assert sorted(batches.faults(world, "faulty")) == [
        (0, None, "cap"),
        (2, "a", "prompt"),
        (3, "b", "image_size"),
        (3, "b", "model"),
    ]


@pytest.mark.parametrize(
    "reference",
    ["photos/mug.png", "/etc/hostname", "http://example.com/a.png", "https://127.0.0.1/a.png", f"sha256:{'0' * 64}"],
)
def test_a_message_may_not_refer_to_paths_nor_inside_addresses_nor_unknown_hashes(world: World, reference: str) -> None:
    token = f"refers to {reference}"

    batches.send(world, batch={"token": token}, requests=[MUG | {"reference": reference}])

    assert batches.taken(world, token)["state"] == "refused"
    assert [field for _, _, field in batches.faults(world, token)] == ["reference"]


@pytest.mark.parametrize("batch", [{"token": "sent twice"}, {}], ids=["with a token", "without one"])
def test_a_message_that_is_delivered_again_changes_nothing(world: World, batch: dict[str, object]) -> None:
    message_id = batches.send(world, batch=batch, requests=[MUG])
    token = str(batch.get("token", f"message:{message_id}"))
    first = batches.taken(world, token)
    before = world.count("job")

    batches.send_as(world, message_id, batch=batch, requests=[MUG])
    batches.send(world, batch={"token": f"after {token}"}, requests=[MUG])
    batches.taken(world, f"after {token}")
    until(lambda: brokers.is_without_messages(world.broker_url), "all messages are taken")

    assert batches.taken(world, token)["id"] == first["id"]
    assert world.count("job") == before + 1


def test_a_token_with_other_requests_is_refused_under_a_token_of_its_own(world: World) -> None:
    batches.send(world, batch={"token": "taken"}, requests=[MUG])
    first = batches.taken(world, "taken")

    batches.send(world, batch={"token": "taken"}, requests=[MUG | {"prompt": "Another"}])
    until(lambda: world.count("batch", "token LIKE 'taken#%'"), "the second is recorded")

    assert world.query("SELECT state, size FROM batch WHERE token LIKE 'taken#%'") == [{"state": "refused", "size": 0}]
    assert batches.taken(world, "taken")["id"] == first["id"]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"batch": {}},
        {"batch": "spring", "requests": [MUG]},
        {"batch": {}, "requests": "mug"},
        {"batch": {}, "requests": []},
        {"batch": {}, "requests": [1, None, "mug"]},
        {"batch": {}, "requests": [MUG], "more": 1},
        {"batch": {"token": ["no", "text"]}, "requests": [MUG]},
        {"batch": {"token": "\0"}, "requests": [MUG]},
        {"batch": {"credit_cap": 2**60}, "requests": [MUG]},
        {"batch": {}, "requests": [MUG | {"prompt": "half a pair \ud800"}]},
    ],
    ids=lambda arguments: json.dumps(arguments)[-50:],
)
def test_arguments_that_make_no_sense_are_recorded_as_one_refused_batch(
    world: World, arguments: dict[str, object]
) -> None:
    refused = world.count("batch", "state = 'refused'")
    accepted = world.count("batch", "state = 'open'")

    batches.send(world, **arguments)
    until(lambda: world.count("batch", "state = 'refused'") > refused, "a refused batch", timeout_s=20)

    assert world.count("batch", "state = 'refused'") == refused + 1
    assert world.count("batch", "state = 'open'") == accepted
    assert world.count("batch", "state = 'refused' AND id NOT IN (SELECT batch_id FROM refused_line)") == 0


def test_more_positional_arguments_than_two_are_recorded_as_a_refused_batch(world: World) -> None:
    batches.send(world, {"token": "three arguments"}, [MUG], "three")

    assert batches.taken(world, "three arguments", timeout_s=BRIEFLY_S)["state"] == "refused"


def test_an_argument_that_is_called_self_is_recorded_as_a_refused_batch(world: World) -> None:
    batches.send(world, batch={"token": "self"}, requests=[MUG], self=1)

    assert batches.taken(world, "self", timeout_s=BRIEFLY_S)["state"] == "refused"


def test_a_message_that_comes_while_the_database_is_away_waits_for_it(world: World) -> None:
    with database.away(world):
        batches.send(world, batch={"token": "patient"}, requests=[MUG])
        until(lambda: "darkroom.enqueue" in world.nodes[0].words().rsplit("database_unreachable", 1)[-1], "it is tried")

    assert batches.taken(world, "patient")["state"] == "open"


def test_a_connection_that_dies_while_the_jobs_are_written_does_not_lose_the_message(world: World) -> None:
    with database.jobs_locked(world):
        batches.send(world, batch={"token": "cut off"}, requests=[MUG])
        until(lambda: database.writers_in_wait(world) == 1, "the batch is being written")
        database.end_writers_in_wait(world)

    assert batches.taken(world, "cut off", timeout_s=10)["state"] == "open"


def test_a_write_of_the_jobs_that_is_cancelled_by_a_timeout_does_not_lose_the_message(world: World) -> None:
    with database.jobs_locked(world):
        batches.send(world, batch={"token": "timed out"}, requests=[MUG])
        until(lambda: database.writers_in_wait(world) == 1, "the batch is being written")
        database.cancel_writers_in_wait(world)
        until(lambda: database.writers_in_wait(world) == 0, "the write is cancelled")

    assert batches.taken(world, "timed out", timeout_s=BRIEFLY_S)["state"] == "open"


def test_a_message_that_comes_while_the_database_takes_no_writes_waits_until_it_does(world: World) -> None:
    with database.read_only(world):
        batches.send(world, batch={"token": "read-only"}, requests=[MUG])
        until(lambda: "read-only" in world.nodes[0].words(), "it is tried")

    assert batches.taken(world, "read-only")["state"] == "open"


def test_a_message_that_the_database_will_never_take_is_a_refused_batch(world: World) -> None:
    world.query("ALTER TABLE job ADD CONSTRAINT ck_job_no_cups CHECK (prompt <> 'A cup')")

    batches.send(world, batch={"token": "cups"}, requests=[MUG | {"prompt": "A cup"}])
    found = batches.taken(world, "cups")
    world.query("ALTER TABLE job DROP CONSTRAINT ck_job_no_cups")

    assert (found["state"], found["size"]) == ("refused", 0)
    assert batches.faults(world, "cups") == [(0, None, "message")]


def test_a_message_whose_worker_is_killed_goes_to_the_next_worker(world: World) -> None:
    with database.jobs_locked(world):
        batches.send(world, batch={"token": "orphan"}, requests=[MUG])
        until(lambda: database.writers_in_wait(world) == 1, "the batch is being written")
        world.nodes[0].kill()
        database.end_writers_in_wait(world)

    brokers.age(world.broker_url)
    world.node()

    assert batches.taken(world, "orphan")["state"] == "open"
