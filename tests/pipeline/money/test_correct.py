"""What a generation is booked to have cost is put right by name, as often as it takes, and never by an edit."""

from datetime import timedelta
from uuid import UUID

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node
from worker.audit import resolve
from worker.audit.correct import Correction, correct
from worker.audit.rules.dispute_decision import NotEnded, Signature, TooMuch

BOB = Signature(actor="bob", reason="the invoice says so")
CORRECTIONS = "SELECT source, target, credits FROM credit_entry WHERE kind = 'correct' ORDER BY id"


def put_right(node: Node, credits_: int, *, may_exceed: bool = False) -> Correction:
    generation_id: UUID = node.query("SELECT id FROM generation")[0]["id"]
    services = node.services
    return correct(
        services.database,
        generation_id,
        credits_,
        BOB,
        new_id=services.new_id,
        approve_above=None,
        now=node.clock(),
        may_exceed=may_exceed,
    )


def posted(node: Node) -> list[tuple[str, str, int]]:
    return [(row["source"], row["target"], row["credits"]) for row in node.query(CORRECTIONS)]


@pytest.fixture
def done(node: Node) -> Node:
    """Return a node with one image that cost 4 credits."""
    node.submit({"prompt": "A chair"}, owner="mia")
    node.run_until_quiet()
    return node


@pytest.fixture
def failed(node: Node, sandbox: Provider) -> Node:
    """Return a node with one job whose only generation was refused and cost nothing."""
    node.submit({"prompt": "A chair"}, owner="mia")
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.2))
    node.clock.advance(timedelta(hours=2))
    node.run_until_quiet()
    generation_id = node.query("SELECT id FROM generation")[0]["id"]
    services = node.services
    resolve.not_charged(
        services.database, generation_id, BOB, new_id=services.new_id, approve_above=None, now=node.clock()
    )
    return node


def test_a_correction_can_itself_be_corrected(done: Node) -> None:
    put_right(done, 400, may_exceed=True)

    put_right(done, 3)

    assert posted(done) == [("cap", "spent", 396), ("spent", "cap", 397)]
    assert done.query("SELECT final FROM generation") == [{"final": 3}]
    assert done.query("SELECT committed FROM batch") == [{"committed": 3}]
    assert done.query("SELECT committed FROM owner_month") == [{"committed": 3}]
    assert books.failed_checks(done) == []


def test_what_was_given_back_and_charged_all_the_same_is_spent(failed: Node) -> None:
    put_right(failed, 4)

    assert posted(failed) == [("held", "cap", 4), ("cap", "spent", 4)]
    assert failed.generations() == ["void"]
    assert books.failed_checks(failed) == []


def test_a_correction_is_signed_and_recorded_with_the_figures(done: Node) -> None:
    put_right(done, 2)

    (change,) = done.query("SELECT field, before, after, actor, reason FROM change")
    assert change == {"field": "spent", "before": "4", "after": "2", "actor": "bob", "reason": BOB.reason}
    assert done.query("SELECT actor FROM credit_entry WHERE kind = 'correct'") == [{"actor": "bob"}]


def test_the_figure_that_is_booked_already_leaves_no_trace(done: Node) -> None:
    assert put_right(done, 4).movements == ()
    assert (posted(done), done.query("SELECT id FROM change")) == ([], [])


def test_more_than_was_ever_promised_must_be_meant(done: Node) -> None:
    with pytest.raises(TooMuch, match="5 credits are more than the 4"):
        put_right(done, 5)

    assert posted(done) == []


def test_a_generation_that_goes_on_is_not_corrected(node: Node) -> None:
    node.submit({"prompt": "A chair"})
    node.round()

    with pytest.raises(NotEnded, match="is accepted: only one that has ended"):
        put_right(node, 4)

    assert posted(node) == []
