"""A person decides about a generation in doubt: its credits go where they belong, once, and the job goes on or ends."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.hooked import HookedClient
from tests.pipeline.node import Node
from worker import batch_control, resolve
from worker.domain.decision import NotInDoubt, Signature, TooMuch, UnfitTask
from worker.resolve import Resolution

ANN = Signature(actor="ann", reason="the provider's support said so")
CORRECTIONS = """
    SELECT source, target, credits, actor, reason FROM credit_entry WHERE kind = 'correct' ORDER BY id"""
Decide = Callable[[Node], Resolution]


def doubtful(node: Node) -> UUID:
    generation_id: UUID = node.query("SELECT id FROM generation WHERE state = 'in_doubt'")[0]["id"]
    return generation_id


def adopt(node: Node, task: str, *, may_be_misdated: bool = False) -> Resolution:
    return resolve.adopt(node.services, doubtful(node), task, ANN, may_be_misdated=may_be_misdated)


def dated(node: Node, after_sending: timedelta) -> None:
    """Let the provider say that its tasks were created so long after the only send."""
    assert isinstance(node.services.client, HookedClient)
    node.services.client.created_at = node.query("SELECT first_sent_at AS at FROM generation")[0]["at"] + after_sending


def charged(credits_: int, node: Node) -> Resolution:
    services = node.services
    return resolve.charged(
        services.database,
        doubtful(node),
        credits_,
        ANN,
        change_id=services.new_id(),
        now=node.clock(),
        may_exceed=True,
    )


def not_charged(node: Node) -> Resolution:
    services = node.services
    return resolve.not_charged(services.database, doubtful(node), ANN, change_id=services.new_id(), now=node.clock())


@pytest.fixture
def lost(node: Node, sandbox: Provider) -> Node:
    """Give a node with one job whose create was answered to nobody, past the window; the task exists."""
    node.submit({"prompt": "A chair"}, owner="mia")
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.2))
    node.clock.advance(timedelta(hours=2))
    node.run_until_quiet()
    return node


@pytest.fixture
def unarrived(node: Node, sandbox: Provider) -> Node:
    """Give a node with one job whose create never arrived, past the window."""
    node.submit({"prompt": "A chair"}, owner="mia")
    sandbox.script(("create", 1, "reset_before"))
    node.run_for(timedelta(seconds=0.2))
    node.clock.advance(timedelta(hours=2))
    node.run_until_quiet()
    return node


@pytest.fixture
def unknown(node: Node, sandbox: Provider) -> Node:
    """Give a node with one job whose task the provider accepted and does not know any more."""
    node.submit({"prompt": "A chair"}, owner="mia")
    sandbox.set(not_found_after_create_s=10**6)
    node.run_until_quiet()
    sandbox.set(not_found_after_create_s=0)
    return node


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
        resolve.charged(services.database, generation_id, 400, ANN, change_id=services.new_id(), now=lost.clock())

    assert (lost.jobs(), lost.entries()) == (["in_doubt"], [("hold", 4)])


def test_what_was_reserved_and_not_charged_goes_back_from_the_reserve(unknown: Node) -> None:
    not_charged(unknown)

    posted = [(row["source"], row["target"], row["credits"]) for row in unknown.query(CORRECTIONS)]
    assert posted == [("reserved", "cap", 4)]
    assert unknown.generations() == ["void"]
    assert books.failed_checks(unknown) == []


def test_a_job_that_was_not_charged_can_be_asked_for_once_more(unarrived: Node, sandbox: Provider) -> None:
    batch_id = not_charged(unarrived).doubt.batch_id

    batch_control.retry_failed(
        unarrived.services.database, batch_id, now=unarrived.clock(), code="resolved_not_charged"
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
            lost.services.database, generation_id, ANN, change_id=lost.services.new_id(), now=lost.clock()
        )

    assert lost.entries() == before


def test_of_two_decisions_at_once_one_counts(lost: Node) -> None:
    services, generation_id = lost.services, doubtful(lost)

    def decide(_: int) -> bool:
        try:
            resolve.charged(services.database, generation_id, 4, ANN, change_id=services.new_id(), now=lost.clock())
        except NotInDoubt:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        counted = list(pool.map(decide, range(2)))

    assert sorted(counted) == [False, True]
    assert lost.entries() == [("hold", 4), ("correct", 4)]


def test_a_task_that_the_provider_does_not_know_is_not_adopted(lost: Node) -> None:
    with pytest.raises(UnfitTask, match="knows no such task"):
        adopt(lost, "task_of_somebody_else")

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
    dated(lost, after_sending)

    with pytest.raises(UnfitTask, match="say so with --force"):
        adopt(lost, sandbox.tasks()[0]["id"])

    assert (lost.jobs(), lost.entries()) == (["in_doubt"], [("hold", 4)])


@pytest.mark.parametrize("after_sending", [timedelta(minutes=-4), timedelta(0), timedelta(minutes=5)])
def test_a_task_that_may_have_been_created_by_a_send_is_adopted(
    after_sending: timedelta, lost: Node, sandbox: Provider
) -> None:
    dated(lost, after_sending)

    assert adopt(lost, sandbox.tasks()[0]["id"]).generation_state == "accepted"


def test_a_misdated_task_is_adopted_by_force_and_that_is_kept(lost: Node, sandbox: Provider) -> None:
    dated(lost, timedelta(days=1))

    adopt(lost, sandbox.tasks()[0]["id"], may_be_misdated=True)

    forced = lost.query("SELECT after, actor FROM change WHERE field = 'forced adoption'")
    assert [(sandbox.tasks()[0]["id"] in row["after"], row["actor"]) for row in forced] == [(True, "ann")]
    assert lost.generations() == ["accepted"]


def test_a_generation_with_a_task_does_not_adopt_another(unknown: Node, sandbox: Provider) -> None:
    with pytest.raises(UnfitTask, match="accepted this generation as"):
        adopt(unknown, "task_other")

    assert unknown.jobs() == ["in_doubt"]


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
