"""A rejection is kept with its reason, and can be taken back while its image exists: it was paid for."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.catalog.team import PRICE, Team, accept, reject
from tests.fixtures.provider import Provider
from worker.catalog.applying import PlanStale
from worker.catalog.publishing import roll_back
from worker.catalog.queries import rejections
from worker.catalog.queries.review import Candidate
from worker.catalog.rules.decisions import Decision

HISTORY = "SELECT actor, reason FROM catalog_rejection UNION ALL SELECT actor, reason FROM catalog_live ORDER BY reason"


@pytest.fixture
def rejected(reviewing: Team) -> Candidate:
    """Return the only image of a catalog, which rita has rejected."""
    reviewing.stock({"a": "red"})
    reviewing.refresh()
    found = reviewing.candidates()["a"]
    reviewing.decide(replace(reject(found), reason="the handle is missing"))
    reviewing.wait(hours=1)
    return found


def accepted(team: Team, image: Candidate) -> Decision:
    """Return a person's decision, at this moment, that an image is good."""
    return replace(accept([image])[0], said_at=team.clock())


def refusal(team: Team, *made: Decision) -> str:
    """Return why the only decision is refused."""
    effect = team.decide(*made)
    assert effect.accepted == ()
    return effect.refused[0].reason


def test_a_rejection_is_kept_with_who_and_why(reviewing: Team, rejected: Candidate) -> None:
    with reviewing.node.services.database.transaction() as tx:
        [listed] = rejections.recent(tx, reviewing.catalog.id, limit=10)

    assert (listed.sku, listed.render_id, listed.by) == ("a", rejected.render_id, "rita")
    assert listed.reason == "the handle is missing"


def test_the_next_image_says_why_the_last_one_was_rejected(reviewing: Team, rejected: Candidate) -> None:
    reviewing.refresh()

    assert reviewing.candidates()["a"].rejected_before == ("the handle is missing",)


def test_a_rejected_image_can_be_accepted_later_and_nothing_more_is_spent(reviewing: Team, rejected: Candidate) -> None:
    effect = reviewing.decide(accepted(reviewing, rejected), by="mia")

    assert (effect.accepted, effect.taken_back) == (("a",), ("a",))
    assert reviewing.live_renders() == {"a": rejected.render_id}
    assert (reviewing.planned(), reviewing.spent()) == ({}, PRICE)


def test_both_decisions_stay_in_the_history(reviewing: Team, rejected: Candidate) -> None:
    reviewing.decide(accepted(reviewing, rejected), by="mia")

    assert reviewing.node.query(HISTORY) == [
        {"actor": "mia", "reason": "accepted after a rejection"},
        {"actor": "rita", "reason": "the handle is missing"},
    ]


def test_a_plan_of_the_rejected_can_no_longer_be_applied(reviewing: Team, rejected: Candidate) -> None:
    plan = reviewing.plan()
    reviewing.decide(accepted(reviewing, rejected))

    with pytest.raises(PlanStale):
        reviewing.apply(plan.id)

    assert reviewing.spent() == PRICE


def test_an_item_that_is_being_rendered_again_keeps_its_rejection_for_now(reviewing: Team, rejected: Candidate) -> None:
    applied = reviewing.apply(reviewing.plan().id)

    reason = refusal(reviewing, accepted(reviewing, rejected))

    assert f"is being rendered again in batch {applied.batch_id}" in reason


def test_of_two_images_the_earlier_one_can_be_chosen_and_the_later_one_after_all(
    reviewing: Team, rejected: Candidate
) -> None:
    reviewing.refresh()
    later = reviewing.candidates()["a"]

    reviewing.decide(accepted(reviewing, rejected))
    first = (reviewing.live_renders()["a"], reviewing.candidates(), reviewing.planned())
    reviewing.wait(hours=1)
    reviewing.decide(accepted(reviewing, later))

    assert first == (rejected.render_id, {}, {})
    assert reviewing.live_renders()["a"] == later.render_id
    assert (reviewing.planned(), reviewing.spent()) == ({}, 2 * PRICE)


def test_a_try_that_failed_is_given_up_for_the_image_that_is_taken_back(reviewing: Team, sandbox: Provider) -> None:
    sandbox.set(failing_prompts="broken")
    reviewing.stock({"a": "red"})
    reviewing.refresh()
    found = reviewing.candidates()["a"]
    reviewing.decide(reject(found, "A broken mug"))
    reviewing.refresh()
    reviewing.wait(hours=1)

    reviewing.decide(accepted(reviewing, found))

    assert reviewing.live_renders() == {"a": found.render_id}
    assert reviewing.planned() == {}


def test_an_image_that_is_passed_over_says_why_and_can_be_chosen_by_its_id(
    reviewing: Team, rejected: Candidate
) -> None:
    reviewing.refresh()
    later = reviewing.candidates()["a"]
    effect = reviewing.decide(accepted(reviewing, rejected))

    with reviewing.node.services.database.transaction() as tx:
        found = rejections.named(tx, reviewing.catalog.id, [str(later.render_id)])
        [listed] = rejections.recent(tx, reviewing.catalog.id, limit=10)

    assert effect.passed_over == ("a",)
    assert found == {str(later.render_id): ("a", later.render_id)}
    assert listed.reason == f"image {rejected.render_id} was accepted instead"


def test_a_render_that_was_under_way_at_a_rollback_is_not_made_again_when_it_is_rejected(reviewing: Team) -> None:
    reviewing.stock({"a": "red"})
    reviewing.refresh()
    reviewing.decide(*accept(reviewing.candidates().values()))
    old = reviewing.live_renders()["a"]
    reviewing.stock({"a": "green"})
    reviewing.refresh()
    reviewing.decide(*accept(reviewing.candidates().values()))
    reviewing.apply(reviewing.plan(forced=["a"]).id)
    reviewing.wait(hours=1)
    services = reviewing.node.services
    roll_back(
        services.database,
        services.store,
        reviewing.catalog.id,
        to=old,
        skus=None,
        by="rita",
        now=reviewing.clock(),
        new_id=services.new_id,
    )
    reviewing.render()

    reviewing.decide(reject(reviewing.candidates()["a"]))

    assert reviewing.live_renders()["a"] == old
    assert reviewing.planned() == {}


def test_two_images_of_one_item_cannot_both_be_accepted(reviewing: Team, rejected: Candidate) -> None:
    reviewing.refresh()
    later = reviewing.candidates()["a"]

    effect = reviewing.decide(accepted(reviewing, rejected), accepted(reviewing, later))

    assert effect.accepted == ("a",)
    assert reviewing.live_renders()["a"] == later.render_id
    assert "choose one" in effect.refused[0].reason


def test_rejecting_the_later_image_as_well_asks_for_no_third_one(reviewing: Team, rejected: Candidate) -> None:
    reviewing.refresh()

    reviewing.decide(accepted(reviewing, rejected), reject(reviewing.candidates()["a"]))

    assert (reviewing.live_renders()["a"], reviewing.planned()) == (rejected.render_id, {})


def test_an_image_whose_successor_is_live_stays_rejected(reviewing: Team, rejected: Candidate) -> None:
    reviewing.refresh()
    reviewing.decide(*accept(reviewing.candidates().values()))

    assert "rendered later is live" in refusal(reviewing, accepted(reviewing, rejected))


def test_an_older_file_takes_nothing_back(reviewing: Team, rejected: Candidate) -> None:
    old = replace(accepted(reviewing, rejected), said_at=reviewing.clock() - timedelta(days=1))

    assert "rita has rejected it after this was saved" in refusal(reviewing, old)


def test_a_file_that_does_not_say_when_it_was_saved_takes_nothing_back(reviewing: Team, rejected: Candidate) -> None:
    assert "rejected it after" in refusal(reviewing, *accept([rejected]))


def test_the_file_of_the_rejection_read_again_changes_nothing(reviewing: Team, rejected: Candidate) -> None:
    old = replace(reject(rejected), said_at=reviewing.clock() - timedelta(hours=1))
    reviewing.decide(accepted(reviewing, rejected))

    effect = reviewing.decide(old)

    assert (effect.unchanged, effect.refused) == (("a",), ())
    assert reviewing.live_renders() == {"a": rejected.render_id}


def test_the_edited_prompt_goes_with_the_rejection_that_it_came_with(reviewing: Team) -> None:
    reviewing.stock({"a": "red"})
    reviewing.refresh()
    found = reviewing.candidates()["a"]
    reviewing.decide(reject(found, "A mug of my own"))
    reviewing.wait(hours=1)

    reviewing.decide(accepted(reviewing, found))

    assert reviewing.live() == {"a": "A red mug on a table"}
    assert reviewing.planned() == {}


def test_an_image_of_an_edited_prompt_that_was_edited_again_can_be_taken_back(reviewing: Team) -> None:
    reviewing.stock({"a": "red"})
    reviewing.refresh()
    reviewing.decide(reject(reviewing.candidates()["a"], "A mug of my own"))
    reviewing.refresh()
    found = reviewing.candidates()["a"]
    reviewing.decide(reject(found, "A mug of yours"))
    reviewing.wait(hours=1)

    reviewing.decide(accepted(reviewing, found))

    assert reviewing.live() == {"a": "A mug of my own"}
    assert reviewing.planned() == {}


def test_an_image_whose_item_has_changed_since_stays_rejected(reviewing: Team, rejected: Candidate) -> None:
    reviewing.stock({"a": "green"})

    assert "the item has changed" in refusal(reviewing, accepted(reviewing, rejected))


def test_an_image_that_the_store_has_lost_stays_rejected(reviewing: Team, rejected: Candidate) -> None:
    reviewing.lose(rejected.new.path)

    assert "the store has lost" in refusal(reviewing, accepted(reviewing, rejected))
