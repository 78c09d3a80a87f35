"""Review by several people: claims, decisions that are saved as they are made, undone, and applied together."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from uuid import UUID

import pytest

from tests.catalog.team import Team, at_work
from worker.catalog.queries.review_queue import Queue, Queued, Show, Tally
from worker.catalog.reviewing import LEASE, ClaimedByAnother, DecidedMeanwhile, DecisionRefused, Session
from worker.catalog.rules.decisions import Decision, Verdict


@pytest.fixture
def rendered(reviewing: Team) -> Team:
    """Return a team with three images that wait."""
    at_work(reviewing).refresh()
    return reviewing


def session(team: Team, reviewer: str = "rita") -> Session:
    services = team.node.services
    queue = Queue(catalog_id=team.catalog.id, reviewer=reviewer, now=team.clock())
    return Session(database=services.database, store=services.store, queue=queue)


def of(
    image: Queued, verdict: Verdict = Verdict.ACCEPT, *, reason: str | None = None, prompt: str | None = None
) -> Decision:
    candidate = image.candidate
    return Decision(sku=candidate.sku, render_id=candidate.render_id, verdict=verdict, reason=reason, prompt=prompt)


def opened(found: Queued | None) -> Queued:
    assert found is not None
    return found


def walk(team: Team, verdicts: list[Verdict], reviewer: str = "rita") -> list[Queued]:
    """Decide one undecided image after the other."""
    images = []
    for verdict in verdicts:
        image = opened(session(team, reviewer).begin(Show.UNDECIDED))
        session(team, reviewer).save(of(image, verdict), seen=0)
        images.append(image)
        team.wait(seconds=1)
    return images


def tally(team: Team) -> Tally:
    with team.node.services.database.transaction() as tx:
        return session(team).queue.tally(tx)


def outcomes(team: Team) -> list[tuple[str, str | None]]:
    rows = team.node.query("SELECT actor, outcome FROM catalog_decision ORDER BY decided_at, number")
    return [(row["actor"], row["outcome"]) for row in rows]


def test_a_decision_is_saved_and_changes_nothing_that_is_live(rendered: Team) -> None:
    walk(rendered, [Verdict.ACCEPT, Verdict.REJECT])

    assert tally(rendered) == Tally(undecided=1, accepted=1, rejected=1)
    assert rendered.live() == {}
    assert len(rendered.candidates()) == 3


def test_applying_makes_the_accepted_live_and_rejects_the_others_in_their_authors_names(rendered: Team) -> None:
    walk(rendered, [Verdict.ACCEPT])
    walk(rendered, [Verdict.REJECT], reviewer="bob")

    effect = session(rendered, "carl").apply(rendered.node.services.new_id)

    assert (effect.accepted, effect.rejected, effect.refused) == (("a",), ("b",), ())
    assert list(rendered.live()) == ["a"]
    assert rendered.node.query("SELECT actor FROM catalog_live") == [{"actor": "rita"}]
    assert rendered.node.query("SELECT actor FROM catalog_rejection") == [{"actor": "bob"}]
    assert outcomes(rendered) == [("rita", "applied"), ("bob", "applied")]
    assert tally(rendered) == Tally(undecided=1, accepted=0, rejected=0)


def test_a_rejection_keeps_its_reason_and_its_prompt(rendered: Team) -> None:
    image = opened(session(rendered).begin(Show.UNDECIDED))
    session(rendered).save(of(image, Verdict.REJECT, reason="too dark", prompt="A bright mug"), seen=0)

    session(rendered).apply(rendered.node.services.new_id)

    kept = rendered.node.query("SELECT reason, prompt FROM catalog_rejection")
    assert kept == [{"reason": "too dark", "prompt": "A bright mug"}]


def test_undo_takes_back_one_own_decision_after_the_other(rendered: Team) -> None:
    first, second = walk(rendered, [Verdict.ACCEPT, Verdict.REJECT])
    walk(rendered, [Verdict.REJECT], reviewer="bob")

    undone = [session(rendered).undo() for _ in range(3)]

    assert undone == [second.candidate.render_id, first.candidate.render_id, None]
    assert tally(rendered) == Tally(undecided=2, accepted=0, rejected=1)


def test_what_was_applied_cannot_be_undone(rendered: Team) -> None:
    walk(rendered, [Verdict.ACCEPT])
    session(rendered).apply(rendered.node.services.new_id)

    assert session(rendered).undo() is None
    assert list(rendered.live()) == ["a"]


def test_a_decision_of_another_can_be_changed_by_who_has_seen_it_and_undo_brings_it_back(rendered: Team) -> None:
    [image] = walk(rendered, [Verdict.REJECT], reviewer="bob")
    rendered.wait(minutes=1)

    session(rendered).save(of(image), seen=1)
    changed = tally(rendered)
    session(rendered).undo()

    assert changed == Tally(undecided=2, accepted=1, rejected=0)
    again = opened(session(rendered).open(image.candidate.render_id))
    assert again.saved is not None
    assert (again.saved.by, again.saved.verdict) == ("bob", Verdict.REJECT)


@pytest.mark.parametrize("seen", [0, 2])
def test_a_decision_on_an_image_that_was_decided_meanwhile_is_refused_and_says_by_whom(
    rendered: Team, seen: int
) -> None:
    [image] = walk(rendered, [Verdict.REJECT], reviewer="bob")
    rendered.wait(minutes=1)

    with pytest.raises(DecidedMeanwhile) as caught:
        session(rendered).save(of(image), seen=seen)

    assert str(caught.value) == "bob rejected it meanwhile: your decision was not saved"
    assert tally(rendered) == Tally(undecided=2, accepted=0, rejected=1)


def test_a_decision_that_was_undone_meanwhile_is_not_overruled_unseen(rendered: Team) -> None:
    [image] = walk(rendered, [Verdict.REJECT], reviewer="bob")
    session(rendered, "bob").undo()
    rendered.wait(minutes=1)

    with pytest.raises(DecidedMeanwhile):
        session(rendered).save(of(image), seen=1)


def test_a_decision_on_an_image_that_was_decided_from_a_file_says_by_whom(rendered: Team) -> None:
    image = opened(session(rendered).begin(Show.UNDECIDED))
    rendered.decide(of(image), by="bob")

    with pytest.raises(DecidedMeanwhile, match="bob made it live meanwhile"):
        session(rendered).save(of(image), seen=0)


def test_a_decision_from_a_file_ends_the_saved_one(rendered: Team) -> None:
    [image] = walk(rendered, [Verdict.REJECT])

    rendered.decide(of(image), by="bob")

    assert outcomes(rendered) == [("rita", "replaced")]
    assert list(rendered.live()) == ["a"]


def test_a_saved_decision_that_is_changed_while_it_is_applied_is_left_alone(rendered: Team) -> None:
    [image] = walk(rendered, [Verdict.ACCEPT])
    as_read = replace(of(image), number=1)
    session(rendered).undo()
    session(rendered).save(of(image, Verdict.REJECT), seen=0)

    effect = rendered.decide(as_read)

    assert (effect.accepted, effect.refused) == ((), ())
    assert tally(rendered) == Tally(undecided=2, accepted=0, rejected=1)


def test_two_reviewers_get_different_images(rendered: Team) -> None:
    both = [opened(session(rendered, name).begin(Show.UNDECIDED)).candidate.sku for name in ("rita", "bob", "rita")]

    assert both == ["a", "b", "a"]


def test_an_image_goes_to_the_next_reviewer_once_its_lease_has_ended(rendered: Team) -> None:
    session(rendered).begin(Show.UNDECIDED)
    rendered.clock.advance(LEASE - timedelta(seconds=1))
    is_renewed = session(rendered).renew(opened(session(rendered).begin(Show.UNDECIDED)).candidate.render_id, seen=0)
    rendered.clock.advance(LEASE - timedelta(seconds=1))
    before = opened(session(rendered, "bob").begin(Show.UNDECIDED)).candidate.sku
    rendered.clock.advance(LEASE + timedelta(seconds=1))

    after = opened(session(rendered, "carl").begin(Show.UNDECIDED)).candidate.sku

    assert (is_renewed, before, after) == (True, "b", "a")


def test_an_image_of_another_reviewer_cannot_be_decided(rendered: Team) -> None:
    image = opened(session(rendered, "bob").begin(Show.UNDECIDED))

    with pytest.raises(ClaimedByAnother, match="bob is looking at this image"):
        session(rendered).save(of(image), seen=0)

    assert session(rendered).renew(image.candidate.render_id, seen=0) is False
    assert opened(session(rendered).open(image.candidate.render_id)).claimed_by == "bob"


def test_a_reviewer_who_goes_on_gives_the_image_before_up(rendered: Team) -> None:
    first = opened(session(rendered).begin(Show.UNDECIDED))
    session(rendered).move(first.place, Show.UNDECIDED)

    assert opened(session(rendered, "bob").begin(Show.UNDECIDED)).candidate.sku == first.candidate.sku


def test_reviewers_who_ask_at_the_same_instant_get_different_images(rendered: Team) -> None:
    together = Barrier(3)

    def begin(name: str) -> str:
        mine = session(rendered, name)
        together.wait()
        return opened(mine.begin(Show.UNDECIDED)).candidate.sku

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(begin, ["rita", "bob", "carl"]))

    assert sorted(found) == ["a", "b", "c"]


def test_decisions_of_the_same_instant_are_saved_once(rendered: Team) -> None:
    image = opened(session(rendered).open(next(iter(rendered.candidates().values())).render_id, is_claimed=False))
    together = Barrier(2)

    def save(name: str) -> str:
        mine = session(rendered, name)
        together.wait()
        try:
            mine.save(of(image), seen=0)
        except DecidedMeanwhile as error:
            return error.by
        return "saved"

    with ThreadPoolExecutor(2) as pool:
        found = set(pool.map(save, ["rita", "bob"]))

    assert "saved" in found
    assert found - {"saved"} < {"rita", "bob"}
    assert len(outcomes(rendered)) == 1


def test_undecided_images_are_gone_through_in_a_circle(rendered: Team) -> None:
    a = opened(session(rendered).begin(Show.UNDECIDED))
    b = opened(session(rendered).move(a.place, Show.UNDECIDED))
    c = opened(session(rendered).move(b.place, Show.UNDECIDED))
    session(rendered).save(of(c), seen=0)

    after = opened(session(rendered).move(c.place, Show.UNDECIDED))
    before = opened(session(rendered).move(c.place, Show.UNDECIDED, is_back=True))

    assert [each.candidate.sku for each in (a, b, c, after, before)] == ["a", "b", "c", "a", "b"]


def test_a_second_pass_goes_through_the_rejected(rendered: Team) -> None:
    walk(rendered, [Verdict.REJECT, Verdict.ACCEPT, Verdict.REJECT], reviewer="bob")
    rendered.wait(minutes=1)

    first = opened(session(rendered).begin(Show.REJECTED))
    session(rendered).save(of(first), seen=1)
    second = opened(session(rendered).move(first.place, Show.REJECTED))

    assert (first.candidate.sku, second.candidate.sku) == ("a", "c")
    assert session(rendered).move(second.place, Show.REJECTED) is None
    assert tally(rendered) == Tally(undecided=0, accepted=2, rejected=1)


def test_an_image_that_cannot_go_live_is_not_accepted(rendered: Team) -> None:
    stale = opened(session(rendered).begin(Show.UNDECIDED))
    rendered.stock({"a": "green", "b": "blue", "c": "grey"})

    with pytest.raises(DecisionRefused, match="has changed since"):
        session(rendered).save(of(stale), seen=0)

    assert session(rendered).save(of(stale, Verdict.REJECT), seen=0) is not None


def test_a_lost_image_is_not_accepted(rendered: Team) -> None:
    image = opened(session(rendered).begin(Show.UNDECIDED))
    rendered.lose(image.candidate.new.path)

    with pytest.raises(DecisionRefused, match="the store has lost its image"):
        session(rendered).save(of(image), seen=0)


def test_a_saved_decision_that_is_refused_when_it_is_applied_is_undecided_again(rendered: Team) -> None:
    walk(rendered, [Verdict.ACCEPT])
    rendered.stock({"a": "green", "b": "blue", "c": "grey"})

    effect = session(rendered).apply(rendered.node.services.new_id)

    assert [each.sku for each in effect.refused] == ["a"]
    assert outcomes(rendered) == [("rita", "refused")]
    assert tally(rendered) == Tally(undecided=3, accepted=0, rejected=0)


def test_an_id_of_no_image_is_not_decided(rendered: Team) -> None:
    forged = Decision(sku="a", render_id=UUID("01900000-0000-7000-8000-000000000000"), verdict=Verdict.REJECT)

    assert session(rendered).save(forged, seen=0) is None
    assert outcomes(rendered) == []
