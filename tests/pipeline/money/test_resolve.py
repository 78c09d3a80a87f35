"""A person decides about a generation in doubt: its credits go where they belong, once, and the job goes on or ends."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.doubts import ANN, doubtful
from tests.pipeline.node import Node
from worker.audit import resolve
from worker.audit.resolve import Resolution
from worker.audit.rules.dispute_decision import NotInDoubt, TooMuch
from worker.batches import control

CORRECTIONS = """
    SELECT source, target, credits, actor, reason FROM credit_entry WHERE kind = 'correct' ORDER BY id"""
Decide = Callable[[Node], Resolution]


def charged(credits_: int, node: Node) -> Resolution:
    services = node.services
    return resolve.charged(
        services.database,
        doubtful(node),
        credits_,
        ANN,
        new_id=services.new_id,
        approve_above=None,
        now=node.clock(),
        may_exceed=True,
    )


def not_charged(node: Node) -> Resolution:
    services = node.services
    return resolve.not_charged(
        services.database, doubtful(node), ANN, new_id=services.new_id, approve_above=None, now=node.clock()
    )


@pytest.fixture
def unarrived(node: Node, sandbox: Provider) -> Node:
    """Return a node with one job whose create never arrived, past the window."""
    node.submit({"prompt": "A chair"}, owner="mia")
    sandbox.script(("create", 1, "reset_before"))
    node.run_for(timedelta(seconds=0.2))
    node.clock.advance(timedelta(hours=2))
    node.run_until_quiet()
    return node


@pytest.mark.parametrize(
    ("credits_", "corrections"),
    [
        (4, [("held", "spent", 4)]),
        (3, [("held", "spent", 3), ("held", "cap", 1)]),
        (6, [("held", "spent", 4), ("cap", "spent", 2)]),
    ],
)
def test_what_was_charged_is_spent_and_the_rest_goes_back(
    credits_: int, corrections: list[tuple[str, str, int]], lost: Node
) -> None:
    charged(credits_, lost)

    posted = lost.query(CORRECTIONS)
    assert [(row["source"], row["target"], row["credits"]) for row in posted] == corrections
    assert {(row["actor"], row["reason"]) for row in posted} == {("ann", ANN.reason)}
    assert (lost.jobs(), lost.failures()) == (["failed"], ["resolved_charged"])
    assert lost.query("SELECT committed FROM batch") == [{"committed": credits_}]
    assert lost.query("SELECT committed FROM owner_month") == [{"committed": credits_}]
    assert books.failed_checks(lost) == []


def test_more_than_lies_open_is_not_charged_unless_it_is_meant(lost: Node) -> None:
    services, generation_id = lost.services, doubtful(lost)

    with pytest.raises(TooMuch, match="400 credits are more than the 4"):
        resolve.charged(
            services.database, generation_id, 400, ANN, new_id=services.new_id, approve_above=None, now=lost.clock()
        )

    assert (lost.jobs(), lost.entries()) == (["in_doubt"], [("hold", 4)])


def test_what_was_reserved_and_not_charged_goes_back_from_the_reserve(unknown: Node) -> None:
    not_charged(unknown)

    posted = [(row["source"], row["target"], row["credits"]) for row in unknown.query(CORRECTIONS)]
    assert posted == [("reserved", "cap", 4)]
    assert unknown.generations() == ["void"]
    assert books.failed_checks(unknown) == []


def test_a_job_that_was_not_charged_can_be_asked_for_once_more(unarrived: Node, sandbox: Provider) -> None:
    batch_id = not_charged(unarrived).doubt.batch_id

    control.retry_failed(
        unarrived.services.database, batch_id, unarrived.author(), approve_above=None, code="resolved_not_charged"
    )
    unarrived.run_until_quiet()

    assert unarrived.generations() == ["void", "succeeded"]
    assert len(sandbox.tasks()) == 1
    books.check_all_done(unarrived, sandbox)


def test_credits_that_go_back_let_a_capped_batch_go_on(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "1"}, {"prompt": "2"}, credit_cap=4)
    sandbox.script(("create", 1, "reset_before"))
    node.run_for(timedelta(seconds=0.2))
    node.clock.advance(timedelta(hours=2))
    node.run_until_quiet()
    before = node.jobs()

    not_charged(node)
    node.run_until_quiet()

    assert before == ["in_doubt", "pending"]
    assert node.jobs() == ["failed", "succeeded"]


@pytest.mark.parametrize("decide", [partial(charged, 4), not_charged])
def test_a_decision_is_made_once(decide: Decide, lost: Node) -> None:
    generation_id = doubtful(lost)
    decide(lost)
    before = lost.entries()

    with pytest.raises(NotInDoubt, match="not in doubt"):
        resolve.not_charged(
            lost.services.database,
            generation_id,
            ANN,
            new_id=lost.services.new_id,
            approve_above=None,
            now=lost.clock(),
        )

    assert lost.entries() == before


def test_of_two_decisions_at_once_one_counts(lost: Node) -> None:
    services, generation_id = lost.services, doubtful(lost)

    def decide(_: int) -> bool:
        try:
            resolve.charged(
                services.database, generation_id, 4, ANN, new_id=services.new_id, approve_above=None, now=lost.clock()
            )
        except NotInDoubt:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        counted = list(pool.map(decide, range(2)))

    assert sorted(counted) == [False, True]
    assert lost.entries() == [("hold", 4), ("correct", 4)]


def test_an_answer_that_comes_after_the_doubt_is_kept_as_evidence_and_changes_nothing(
    node_for: NodeFor, sandbox: Provider
) -> None:
    other = node_for()

    def stand_still(effect: str) -> None:
        if effect == "after create":
            other.clock.advance(timedelta(hours=2))
            other.run_until_quiet()

    node = node_for(listener=stand_still)
    node.submit({"prompt": "A chair"})

    node.round()

    task = sandbox.tasks()[0]["id"]
    late = node.query("SELECT kind, outcome, provider_id, send FROM call WHERE is_late")
    assert late == [{"kind": "create", "outcome": "ok", "provider_id": task, "send": 1}]
    assert node.jobs() == ["in_doubt"]
    assert node.entries() == [("hold", 4)]
