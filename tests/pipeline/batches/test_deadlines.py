"""When a batch's deadline has passed, all of it ends in a named state, and what may be paid for keeps its credits."""

from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books, timed
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node
from tests.pipeline.timed import CHAIR, HOUR, SECOND, end_passed, submit
from worker.audit import resolve
from worker.audit.rules.dispute_decision import Signature
from worker.batches import control, deadlines
from worker.engine import dispatch

LATE = "SELECT outcome, provider_id FROM call WHERE kind = 'create' AND is_late"


@pytest.fixture
def node(node: Node) -> Node:
    """Return a node that looks after deadlines and doubts."""
    return timed.keeping(node)


def test_a_job_that_was_never_begun_has_failed_by_the_deadline(node: Node, sandbox: Provider) -> None:
    batch_id = submit(node, CHAIR, within=HOUR)
    control.pause(node.services.database, batch_id, node.author())

    node.run_for(HOUR - timedelta(seconds=1))
    before = node.jobs()
    node.run_for(timedelta(seconds=10))

    assert before == ["pending"]
    assert (node.jobs(), node.failures()) == (["failed"], ["deadline_passed"])
    assert sandbox.tasks() == []
    books.check_all_done(node, sandbox)


def test_nothing_is_begun_between_the_deadline_and_the_look_at_it(node: Node, sandbox: Provider) -> None:
    submit(node, CHAIR, within=HOUR)
    node.clock.advance(HOUR)

    tickets = dispatch.run(node.services).tickets

    assert tickets == ()


def test_the_hold_of_a_job_that_was_begun_and_not_sent_goes_back(node: Node, sandbox: Provider) -> None:
    submit(node, CHAIR, within=HOUR)
    tickets = dispatch.run(node.services).tickets
    node.clock.advance(HOUR)

    end_passed(node)
    node.deliver(tickets)

    assert (node.jobs(), node.failures(), node.generations()) == (["failed"], ["deadline_passed"], ["void"])
    assert node.entries() == [("hold", 4), ("void", 4)]
    assert node.query("SELECT committed FROM owner_month") == [{"committed": 0}]
    assert sandbox.tasks() == []
    books.check_all_done(node, sandbox)


def test_the_hold_of_a_job_whose_every_send_was_turned_away_goes_back(node: Node, sandbox: Provider) -> None:
    submit(node, CHAIR, within=HOUR)
    sandbox.script(("create", 1, "throttle"))
    node.round()
    node.clock.advance(HOUR)

    end_passed(node)

    assert (node.jobs(), node.generations()) == (["failed"], ["void"])
    books.check_all_done(node, sandbox)


def test_a_create_whose_answer_was_lost_is_in_doubt_and_keeps_its_hold(node: Node, sandbox: Provider) -> None:
    submit(node, CHAIR, within=HOUR)
    sandbox.script(("create", 1, "lost_reply"))
    node.round()
    node.clock.advance(HOUR)

    end_passed(node)

    assert (node.jobs(), node.failures(), node.generations()) == (["in_doubt"], ["deadline_passed"], ["in_doubt"])
    assert node.entries() == [("hold", 4)]
    assert books.failed_checks(node) == []


def test_a_generation_that_has_not_ended_is_in_doubt_and_keeps_what_is_reserved(node: Node, sandbox: Provider) -> None:
    submit(node, CHAIR, within=timedelta(minutes=10))
    sandbox.script(("create", 1, "never_ends"))

    node.run_for(timedelta(minutes=11))

    assert (node.jobs(), node.failures()) == (["in_doubt"], ["deadline_passed"])
    assert node.entries() == [("hold", 4), ("reserve", 4)]
    assert node.query("SELECT polls > 3 AS is_counted FROM generation") == [{"is_counted": True}]
    books.check_all_done(node, sandbox)


def test_a_paid_image_is_downloaded_however_long_after_the_deadline(node: Node, sandbox: Provider) -> None:
    submit(node, CHAIR, within=timedelta(minutes=1))
    sandbox.set(faults={"download": {"http_503": 1.0}})
    node.run_for(timedelta(minutes=2))
    late = node.jobs()

    sandbox.reset()
    node.run_for(timedelta(minutes=5))

    assert late == ["active"]
    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


def test_an_image_that_ends_after_the_deadline_is_downloaded_by_itself(node: Node, sandbox: Provider) -> None:
    submit(node, CHAIR, within=SECOND)
    node.round()
    node.clock.advance(SECOND)

    end_passed(node)
    ended = node.jobs()
    node.run_for(timedelta(minutes=1))

    assert ended == ["in_doubt"]
    assert node.jobs() == ["succeeded"]
    assert node.entries() == [("hold", 4), ("reserve", 4), ("settle", 4)]
    books.check_all_done(node, sandbox)


def test_a_job_that_fails_for_free_after_the_deadline_is_not_begun_again(node: Node, sandbox: Provider) -> None:
    submit(node, CHAIR, within=SECOND)
    sandbox.script(("create", 1, "fail_generation"))
    node.round()
    node.clock.advance(SECOND)
    end_passed(node)

    node.run_for(timedelta(minutes=1))

    assert (node.jobs(), node.failures(), node.generations()) == (["failed"], ["deadline_passed"], ["failed"])
    assert len(sandbox.tasks()) == 1
    books.check_all_done(node, sandbox)


def test_what_a_person_adopts_after_the_deadline_is_left_to_end(node: Node, sandbox: Provider) -> None:
    submit(node, CHAIR, within=timedelta(minutes=10))
    sandbox.script(("create", 1, "never_ends"))
    node.run_for(timedelta(minutes=11))
    (row,) = node.query("SELECT id, provider_id FROM generation")

    resolve.adopt(node.services, row["id"], row["provider_id"], Signature(actor="ann", reason="it is slow"))
    node.run_for(timedelta(minutes=10))

    assert node.jobs() == ["active"]


def test_an_answer_that_comes_right_after_the_deadline_is_recorded_and_its_image_downloaded(
    node: Node, node_for: NodeFor, sandbox: Provider
) -> None:
    def pass_the_deadline(effect: str) -> None:
        if effect == "after create":
            node.clock.advance(timedelta(seconds=2))
            end_passed(node)

    sender = node_for(listener=pass_the_deadline)
    submit(sender, CHAIR, within=SECOND)
    sender.deliver(dispatch.run(sender.services).tickets)
    recorded = node.generations()

    end_passed(node)
    ended = node.generations()
    node.run_for(timedelta(minutes=1))

    assert (recorded, ended) == (["accepted"], ["in_doubt"])
    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


def test_an_answer_that_comes_long_after_the_deadline_finds_a_stale_fence_and_is_on_record(
    node: Node, node_for: NodeFor, sandbox: Provider
) -> None:
    def stand_still(effect: str) -> None:
        if effect == "after create":
            node.clock.advance(timedelta(minutes=2))
            end_passed(node)

    sender = node_for(listener=stand_still)
    submit(sender, CHAIR, within=SECOND)

    sender.deliver(dispatch.run(sender.services).tickets)

    assert node.jobs() == ["in_doubt"]
    assert node.entries() == [("hold", 4)]
    assert node.query(LATE) == [{"outcome": "ok", "provider_id": sandbox.tasks()[0]["id"]}]
    assert books.failed_checks(node) == []


def test_a_look_at_what_has_ended_changes_nothing(node: Node, sandbox: Provider) -> None:
    submit(node, CHAIR, CHAIR, within=HOUR)
    sandbox.script(("create", 1, "lost_reply"))
    node.round()
    node.clock.advance(HOUR)
    end_passed(node)
    before = (node.jobs(), node.entries(), node.query("SELECT * FROM generation ORDER BY id"))

    end_passed(node)

    assert (node.jobs(), node.entries(), node.query("SELECT * FROM generation ORDER BY id")) == before


def test_a_batch_is_ended_in_short_transactions_and_what_is_left_has_its_turn_at_once(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "CHUNK", 3)
    monkeypatch.setattr(deadlines, "MOST_CHUNKS", 2)
    submit(node, *[CHAIR] * 10, within=HOUR)
    node.clock.advance(HOUR)

    node.round()
    after_one = node.jobs().count("failed")
    node.round()

    assert after_one == 6
    assert node.jobs() == ["failed"] * 10


def test_a_batch_that_was_cancelled_is_over_by_its_deadline_too(node: Node, sandbox: Provider) -> None:
    batch_id = submit(node, CHAIR, within=timedelta(minutes=10))
    sandbox.script(("create", 1, "never_ends"))
    node.round()
    control.cancel(node.services.database, batch_id, now=node.clock())

    node.run_for(timedelta(minutes=11))

    assert node.jobs() == ["in_doubt"]
    books.check_all_done(node, sandbox)
