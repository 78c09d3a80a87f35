"""A generation in doubt, or old, is asked about again and again; what is said is kept, and its end takes it up."""

from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import EVERY, Node
from worker.audit.queries import in_doubt
from worker.node import maintenance
from worker.node.maintenance import books as maintenance_books

SAID = "SELECT status, reserved, final, code FROM generation_reading ORDER BY read_at, id"


@pytest.fixture
def node(node: Node) -> Node:
    """Return a node that does its maintenance."""
    node.keep(EVERY)
    return node


def doubtful(node: Node, sandbox: Provider) -> None:
    """Leave a generation in doubt of which the provider's id is known."""
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "never_ends"))
    node.run_for(timedelta(seconds=30))
    node.clock.advance(timedelta(days=1))
    node.run_for(timedelta(minutes=1))
    assert node.jobs() == ["in_doubt"]


def test_what_was_said_since_and_the_wallet_around_the_sends_are_evidence_of_a_doubt(
    node: Node, sandbox: Provider
) -> None:
    node.run_for(timedelta(minutes=2))
    doubtful(node, sandbox)
    node.run_for(timedelta(minutes=20))

    with node.services.database.transaction() as tx:
        (doubt,) = in_doubt.all_of_them(tx)
        wallet = in_doubt.wallet_around(tx, [doubt])
        said = in_doubt.last_said(tx, [doubt.generation_id])

    assert [reading.credits for reading in wallet[doubt.generation_id]] == [10_000, 9_996]
    assert [(each.reserved, each.code) for each in said.values()] == [(4, None)]


def test_more_doubts_than_one_go_asks_about_are_all_asked_about_before_the_next_time(
    node: Node, sandbox: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance_books, "MOST_REREAD", 2)
    node.submit(*({"prompt": str(number)} for number in range(5)))
    sandbox.set(faults={"create": {"never_ends": 1.0}})
    node.run_for(timedelta(seconds=30))
    node.clock.advance(timedelta(days=1))
    node.run_for(timedelta(minutes=3))

    asked = node.query("SELECT generation_id, count(*) AS times FROM generation_reading GROUP BY generation_id")

    assert sorted(row["times"] for row in asked) == [1] * 5


def test_a_generation_in_doubt_is_asked_about_and_the_answer_moves_no_credit(node: Node, sandbox: Provider) -> None:
    doubtful(node, sandbox)
    before = node.entries()

    node.run_for(timedelta(minutes=31))

    assert node.query(SAID)[-1] == {"status": "processing", "reserved": 4, "final": 0, "code": None}
    assert node.entries() == before == [("hold", 4), ("reserve", 4)]
    assert node.jobs() == ["in_doubt"]
    books.check(node, sandbox)


def forgotten(node: Node, sandbox: Provider) -> None:
    """Leave a generation in doubt that the provider had accepted, and of which it says again that it has ended."""
    node.submit({"prompt": "A chair"})
    sandbox.set(not_found_after_create_s=10**6)
    node.run_for(timedelta(minutes=2))
    assert node.jobs() == ["in_doubt"]
    sandbox.set(not_found_after_create_s=0)


def test_a_generation_in_doubt_that_the_provider_says_has_ended_is_adopted_and_downloaded(
    node: Node, sandbox: Provider
) -> None:
    forgotten(node, sandbox)

    node.run_for(timedelta(minutes=20))

    assert node.jobs() == ["succeeded"]
    assert node.entries() == [("hold", 4), ("reserve", 4), ("settle", 4)]
    books.check_all_done(node, sandbox)


def test_what_is_taken_up_is_signed_and_the_answer_kept_as_its_evidence(node: Node, sandbox: Provider) -> None:
    forgotten(node, sandbox)
    accepted_at = node.query("SELECT accepted_at FROM generation")

    maintenance.run(node.services, "reread")

    (change,) = node.query("SELECT before, after, actor, reason FROM change")
    assert change["before"].startswith("in_doubt (not_found")
    assert (change["after"], change["actor"]) == (f"accepted as {sandbox.tasks()[0]['id']}", "darkroom")
    assert change["reason"] == "the provider's answer is the evidence: succeeded, 4 credits"
    assert node.query(SAID)[-1] == {"status": "succeeded", "reserved": 4, "final": 4, "code": None}
    assert node.query("SELECT accepted_at FROM generation") == accepted_at


def test_a_doubt_without_the_providers_id_waits_for_a_person(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.2))
    node.clock.advance(timedelta(hours=2))

    node.run_for(timedelta(hours=1))

    assert node.jobs() == ["in_doubt"]
    assert node.query(SAID) == []


def test_what_is_said_in_place_of_an_answer_is_kept_too(node: Node, sandbox: Provider) -> None:
    doubtful(node, sandbox)
    sandbox.set(faults={"get": {"http_503": 1.0}})
    node.clock.advance(timedelta(minutes=15))

    maintenance.run(node.services, "reread")

    said = node.query(SAID)[-1]
    assert (said["status"], said["reserved"], said["final"]) == (None, None, None)
    assert said["code"]


def test_a_generation_that_was_accepted_long_ago_is_asked_about_beside_its_polls(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "never_ends"))

    node.run_for(timedelta(minutes=59))
    young = node.query(SAID)
    node.run_for(timedelta(minutes=20))

    assert young == []
    assert [row["status"] for row in node.query(SAID)] == ["processing"]


def test_those_that_were_longest_not_asked_about_have_the_first_turn(
    node: Node, sandbox: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance_books, "MOST_REREAD", 2)
    sandbox.set(faults={"create": {"never_ends": 1.0}})
    node.submit(*({"prompt": str(number)} for number in range(3)))
    node.run_for(timedelta(seconds=10))
    node.clock.advance(timedelta(hours=2))

    maintenance.run(node.services, "reread")
    maintenance.run(node.services, "reread")

    counts = "SELECT count(*) AS n FROM generation_reading GROUP BY generation_id ORDER BY n"
    assert node.query(counts) == [{"n": 1}, {"n": 1}, {"n": 1}]
