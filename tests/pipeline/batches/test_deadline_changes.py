"""A deadline counts from when its batch is taken, and a new one is kept with what it was."""

from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books, timed
from tests.pipeline.node import Node
from tests.pipeline.timed import CHAIR, HOUR, end_passed, submit
from worker.batches import control, deadlines
from worker.batches.control import NewDeadline
from worker.core.rules.batch_request import DeadlinePassed
from worker.enqueue import RequestsRefused


@pytest.fixture
def node(node: Node) -> Node:
    """Return a node that looks after deadlines and doubts."""
    return timed.keeping(node)


def test_a_deadline_that_was_put_off_ends_nothing(node: Node, sandbox: Provider) -> None:
    batch_id = submit(node, CHAIR, within=HOUR)
    deadlines.change(node.services.database, batch_id, node.clock() + 2 * HOUR, node.author())
    node.clock.advance(HOUR)

    end_passed(node)
    node.run_for(timedelta(minutes=1))

    assert node.jobs() == ["succeeded"]


def test_a_change_of_a_deadline_is_kept_with_what_it_was(node: Node) -> None:
    batch_id = submit(node, CHAIR, within=HOUR)
    was = str(node.clock() + HOUR)

    deadlines.change(node.services.database, batch_id, None, node.author())

    changed = node.query("SELECT field, before, after, actor FROM change ORDER BY id")
    assert changed == [
        {"field": "deadline", "before": None, "after": was, "actor": "ann"},
        {"field": "deadline", "before": was, "after": None, "actor": "ann"},
    ]


def test_failed_jobs_are_retried_after_the_deadline_only_with_a_new_one(node: Node, sandbox: Provider) -> None:
    batch_id = submit(node, CHAIR, within=HOUR)
    node.clock.advance(HOUR)
    end_passed(node)
    database = node.services.database

    with pytest.raises(DeadlinePassed, match=r"retry [0-9a-f-]+ --deadline 6h` sets a new one"):
        control.retry_failed(database, batch_id, node.author(), approve_above=None)
    new = NewDeadline(at=node.clock() + HOUR, author=node.author())
    control.retry_failed(database, batch_id, node.author(), approve_above=None, deadline=new)
    node.run_for(timedelta(minutes=1))

    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


def test_a_deadline_counts_from_the_moment_at_which_the_batch_is_taken(node: Node) -> None:
    node.submit(CHAIR, deadline="1h")

    spans = node.query("SELECT extract(epoch FROM deadline_at - created_at)::int AS seconds FROM batch")
    assert spans == [{"seconds": 3600}]


def test_the_same_token_is_the_same_batch_and_its_first_deadline_counts(node: Node) -> None:
    first = node.submit(CHAIR, token="t", deadline="1h")
    before = node.query("SELECT deadline_at FROM batch")

    again = node.submit(CHAIR, token="t", deadline="2h")

    assert (again.batch_id, again.is_new) == (first.batch_id, False)
    assert node.query("SELECT deadline_at FROM batch") == before


def test_a_batch_whose_deadline_has_passed_already_is_not_taken(node: Node) -> None:
    with pytest.raises(RequestsRefused, match="deadline: has passed already"):
        node.submit(CHAIR, deadline="2026-01-01T00:00:00Z")

    assert node.query("SELECT id FROM batch") == []


def test_a_batch_that_was_taken_in_time_is_the_same_after_its_deadline(node: Node) -> None:
    """Else a producer that asks whether its submission has arrived would be told that it was refused."""
    first = node.submit(CHAIR, token="t")

    again = node.submit(CHAIR, token="t", deadline="2026-01-01T00:00:00Z")

    assert again.batch_id == first.batch_id
