"""Every outside call leaves one row, with what came back, and one whose end is unknown is recorded too."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from tests.fixtures import pictures
from tests.fixtures.provider import Provider
from tests.pipeline.conftest import NodeFor
from tests.pipeline.hooked import die_after_create
from tests.pipeline.node import Node
from worker.engine.queries import calls
from worker.engine.queries.calls import LoggedCall

CALLS = "SELECT kind, outcome, http_status, code FROM call WHERE generation_id IS NOT NULL ORDER BY id"


def of_the_first_generation(node: Node) -> list[LoggedCall]:
    generation_id = node.query("SELECT id FROM generation ORDER BY id LIMIT 1")[0]["id"]
    with node.services.database.transaction() as tx:
        return calls.for_generation(tx, generation_id)


def test_every_call_of_a_jobs_life_is_logged_in_its_order(node: Node, sandbox: Provider) -> None:
    pictures.reference(node.folder)
    node.submit({"prompt": "A chair", "reference": "reference.png"})

    node.run_until_quiet()

    logged = [(row["kind"], row["outcome"], row["http_status"], row["code"]) for row in node.query(CALLS)]
    assert logged == [
        ("upload", "ok", 200, None),
        ("create", "ok", 200, "queued"),
        ("get", "ok", 200, "succeeded"),
        ("download", "ok", 200, None),
    ]


def test_a_create_is_logged_with_its_key_and_its_task(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})

    node.run_until_quiet()

    (task,) = sandbox.tasks()
    create = of_the_first_generation(node)[0]
    assert (create.idempotency_key, create.provider_id, create.send) == (task["key"], task["id"], 1)


def test_a_refusal_is_logged_with_the_providers_words_and_request_id(node: Node, sandbox: Provider) -> None:
    sandbox.set(client_request_id_max=1)
    node.submit({"prompt": "A chair"})

    node.run_until_quiet()

    (create,) = of_the_first_generation(node)
    assert (create.outcome, create.http_status, create.code) == ("refused", 400, "validation_failed")
    assert create.message
    assert create.request_id


def test_a_send_whose_sender_died_leaves_a_trace(node_for: NodeFor, sandbox: Provider) -> None:
    survivor = node_for()
    survivor.submit({"prompt": "A chair"})
    node_for(listener=die_after_create).run_until_crash()
    sent_at = survivor.clock()
    survivor.clock.advance(timedelta(minutes=2))

    survivor.run_until_quiet()

    creates = [call for call in of_the_first_generation(survivor) if call.kind == "create"]
    assert [(call.send, call.outcome) for call in creates] == [(1, "unknown"), (2, "ok")]
    assert creates[0].started_at <= sent_at
    assert creates[0].ended_at is None
    assert len({call.idempotency_key for call in creates}) == 1


def test_an_answer_that_was_lost_is_logged_once(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "lost_reply"))

    node.run_until_quiet()

    creates = [call for call in of_the_first_generation(node) if call.kind == "create"]
    assert [(call.send, call.outcome) for call in creates] == [(1, "unknown"), (2, "ok")]
    assert all(call.ended_at for call in creates)


def test_a_look_at_the_wallet_of_a_paused_account_is_logged(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.fund(0)

    node.run_for(timedelta(seconds=30))

    looks = node.query("SELECT DISTINCT kind, outcome FROM call WHERE generation_id IS NULL")
    assert looks == [{"kind": "credits", "outcome": "ok"}]


@pytest.mark.parametrize("change", ["UPDATE call SET outcome = 'ok'", "DELETE FROM call", "TRUNCATE call"])
def test_the_log_refuses_every_change_of_what_was_written(change: str, node: Node) -> None:
    node.submit({"prompt": "A chair"})
    node.run_until_quiet()

    with pytest.raises(DBAPIError, match=r"append-only|permission denied"):
        node.query(change)
