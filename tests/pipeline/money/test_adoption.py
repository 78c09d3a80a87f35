"""A generation in doubt adopts the task that the provider made for it and no other one, and goes on to its end."""

from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.doubts import ANN, date_tasks, doubtful
from tests.pipeline.node import Node
from worker.audit import resolve
from worker.audit.resolve import Resolution
from worker.audit.rules.dispute_decision import UnfitTask


def adopt(node: Node, task: str, *, may_be_misdated: bool = False) -> Resolution:
    return resolve.adopt(node.services, doubtful(node), task, ANN, may_be_misdated=may_be_misdated)


def test_an_adopted_task_is_followed_to_its_image_and_its_charge(lost: Node, sandbox: Provider) -> None:
    found = adopt(lost, sandbox.tasks()[0]["id"])
    lost.run_until_quiet()

    assert (found.generation_state, found.job_state) == ("accepted", "active")
    assert lost.jobs() == ["succeeded"]
    assert lost.entries() == [("hold", 4), ("reserve", 4), ("settle", 4)]
    books.check_all_done(lost, sandbox)


def test_an_adoption_books_the_price_that_the_provider_names(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.set(price_delta=2)
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.2))
    node.clock.advance(timedelta(hours=2))
    node.run_until_quiet()

    adopt(node, sandbox.tasks()[0]["id"])
    node.run_until_quiet()

    assert node.entries() == [("hold", 4), ("reserve", 4), ("top_up", 2), ("settle", 6)]
    books.check_all_done(node, sandbox)


def test_a_task_that_was_known_is_adopted_without_a_new_entry(unknown: Node, sandbox: Provider) -> None:
    adopt(unknown, sandbox.tasks()[0]["id"])
    unknown.run_until_quiet()

    assert unknown.entries() == [("hold", 4), ("reserve", 4), ("settle", 4)]
    books.check_all_done(unknown, sandbox)


def test_an_adoption_is_signed(lost: Node, sandbox: Provider) -> None:
    task = sandbox.tasks()[0]["id"]

    adopt(lost, task)

    signed = lost.query("SELECT actor, reason FROM credit_entry WHERE kind = 'reserve'")
    changed = lost.query("SELECT before, after, actor FROM change")
    assert signed == [{"actor": "ann", "reason": ANN.reason}]
    assert changed[0]["before"].startswith("in_doubt (window_closed")
    assert (changed[0]["after"], changed[0]["actor"]) == (f"accepted as {task}", "ann")


def test_a_task_that_the_provider_does_not_know_is_not_adopted(lost: Node) -> None:
    with pytest.raises(UnfitTask, match="knows no such task"):
        adopt(lost, "task_of_another_account")

    assert lost.jobs() == ["in_doubt"]
    assert lost.query("SELECT outcome FROM call ORDER BY id DESC LIMIT 1") == [{"outcome": "not_found"}]


def test_a_task_of_another_generation_is_not_adopted(lost: Node, sandbox: Provider) -> None:
    lost.submit({"prompt": "Another"})
    lost.run_until_quiet()

    with pytest.raises(UnfitTask, match="it is the generation"):
        adopt(lost, sandbox.tasks()[1]["id"])

    assert sorted(lost.jobs()) == ["in_doubt", "succeeded"]


@pytest.mark.parametrize("after_sending", [timedelta(minutes=-6), timedelta(minutes=7)])
def test_a_task_that_was_created_when_nothing_was_sent_is_not_adopted(
    after_sending: timedelta, lost: Node, sandbox: Provider
) -> None:
    date_tasks(lost, after_sending)

    with pytest.raises(UnfitTask, match="say so with --force"):
        adopt(lost, sandbox.tasks()[0]["id"])

    assert (lost.jobs(), lost.entries()) == (["in_doubt"], [("hold", 4)])


@pytest.mark.parametrize("after_sending", [timedelta(minutes=-4), timedelta(0), timedelta(minutes=5)])
def test_a_task_that_may_have_been_created_by_a_send_is_adopted(
    after_sending: timedelta, lost: Node, sandbox: Provider
) -> None:
    date_tasks(lost, after_sending)

    assert adopt(lost, sandbox.tasks()[0]["id"]).generation_state == "accepted"


def test_a_misdated_task_is_adopted_by_force_and_that_is_kept(lost: Node, sandbox: Provider) -> None:
    date_tasks(lost, timedelta(days=1))

    adopt(lost, sandbox.tasks()[0]["id"], may_be_misdated=True)

    forced = lost.query("SELECT after, actor FROM change WHERE field = 'forced adoption'")
    assert [(sandbox.tasks()[0]["id"] in row["after"], row["actor"]) for row in forced] == [(True, "ann")]
    assert lost.generations() == ["accepted"]


def test_a_generation_with_a_task_does_not_adopt_another(unknown: Node, sandbox: Provider) -> None:
    with pytest.raises(UnfitTask, match="accepted this generation as"):
        adopt(unknown, "task_other")

    assert unknown.jobs() == ["in_doubt"]


def test_an_answer_that_comes_after_its_adoption_finds_a_stale_fence(node_for: NodeFor, sandbox: Provider) -> None:
    other = node_for()

    def stand_still(effect: str) -> None:
        if effect == "after create":
            other.clock.advance(timedelta(hours=2))
            other.run_until_quiet()
            adopt(other, sandbox.tasks()[0]["id"])

    node = node_for(listener=stand_still)
    node.submit({"prompt": "A chair"})

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    assert node.entries() == [("hold", 4), ("reserve", 4), ("settle", 4)]
    books.check_all_done(node, sandbox)
