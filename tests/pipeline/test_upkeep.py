"""What is done every so often: once per time however many nodes there are, and never at the cost of the jobs."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import START, Node
from worker import dispatch, upkeep, wiring
from worker.db import doubt_evidence, in_doubt
from worker.db import upkeep as rows
from worker.domain.upkeep import UpkeepKind
from worker.settings import load

EVERY = {
    UpkeepKind.WALLET: timedelta(minutes=1),
    UpkeepKind.SEAL: timedelta(hours=1),
    UpkeepKind.REREAD: timedelta(minutes=15),
}

READINGS = "SELECT credits, extract(epoch FROM read_at - :start)::int AS after_s FROM wallet_reading ORDER BY read_at"
SAID = "SELECT status, reserved, final, code FROM generation_reading ORDER BY read_at, id"


@pytest.fixture
def node(node: Node) -> Node:
    """Give a node that does its upkeep."""
    return keeping(node)


def keeping(node: Node, *, wallet_floor: int | None = None) -> Node:
    configure(node, EVERY)
    node.services = replace(node.services, policies=replace(node.services.policies, wallet_floor=wallet_floor))
    return node


def configure(node: Node, every: dict[UpkeepKind, timedelta]) -> None:
    with node.services.database.transaction() as tx:
        rows.configure(tx, node.services.account_id, every, now=node.clock())


def readings(node: Node) -> list[tuple[int, int]]:
    """Give each reading of the wallet: seconds since the start, and credits."""
    return [(row["after_s"], row["credits"]) for row in node.query(READINGS, start=START)]


def doubtful(node: Node, sandbox: Provider) -> None:
    """Leave a generation in doubt of which the provider's id is known."""
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "never_ends"))
    node.run_for(timedelta(seconds=30))
    node.clock.advance(timedelta(days=1))
    node.run_for(timedelta(minutes=1))
    assert node.jobs() == ["in_doubt"]


def test_the_wallet_is_read_at_once_and_then_once_an_interval(node: Node) -> None:
    node.run_for(timedelta(minutes=2, seconds=30))

    assert readings(node) == [(0, 10_000), (60, 10_000), (120, 10_000)]


def test_an_idle_node_looks_again_when_the_next_upkeep_is_due_and_not_before(node: Node) -> None:
    node.round()

    assert [node.round().look_again_at for _ in range(2)] == [START + timedelta(minutes=1)] * 2


def test_a_node_looks_after_every_kind() -> None:
    assert set(wiring.intervals(load())) == set(UpkeepKind)


def test_what_is_due_is_handed_out_once_however_many_nodes_there_are(node: Node, node_for: NodeFor) -> None:
    nodes = [node, node_for(), node_for()]

    handed_out = [kind for each in nodes for kind in dispatch.run(each.services).upkeep]

    assert sorted(handed_out) == sorted(EVERY)


def test_upkeep_whose_message_is_lost_is_due_again_after_its_interval(node: Node) -> None:
    dispatch.run(node.services)
    node.clock.advance(timedelta(minutes=1))

    assert dispatch.run(node.services).upkeep == (UpkeepKind.WALLET,)


def test_upkeep_that_was_not_done_for_a_week_is_done_once(node: Node) -> None:
    node.round()
    node.clock.advance(timedelta(days=7))

    decided = [node.round().upkeep, node.round().upkeep]

    assert decided == [(UpkeepKind.REREAD, UpkeepKind.SEAL, UpkeepKind.WALLET), ()]


def test_a_shorter_interval_counts_from_the_start_of_the_node_that_brings_it(node: Node) -> None:
    node.round()

    configure(node, EVERY | {UpkeepKind.WALLET: timedelta(seconds=10)})

    assert node.round().look_again_at == START + timedelta(seconds=10)


def test_a_reading_counts_what_is_held_and_not_reserved_yet_as_gone(node: Node) -> None:
    node.submit({"prompt": "A chair"})
    tickets = dispatch.run(node.services).tickets

    upkeep.run(node.services, UpkeepKind.WALLET)

    assert node.query("SELECT wallet_left FROM account") == [{"wallet_left": 9_996}]
    node.deliver(tickets)


def test_with_a_floor_admissions_wait_for_the_first_reading_only(node_for: NodeFor, sandbox: Provider) -> None:
    node = keeping(node_for(), wallet_floor=100)
    sandbox.fund(108)
    node.submit(*({"prompt": str(number)} for number in range(3)))

    node.run_for(timedelta(minutes=3))

    assert node.jobs() == ["succeeded", "succeeded", "pending"]
    assert readings(node)[0] == (0, 108)
    assert sandbox.wallet()["available"] == 100


def test_with_a_floor_a_first_reading_that_fails_is_made_again_soon(node_for: NodeFor, sandbox: Provider) -> None:
    node = keeping(node_for(), wallet_floor=100)
    sandbox.script(("credits", 1, "http_503"))
    node.round()
    node.clock.advance(timedelta(seconds=10))

    node.round()

    assert readings(node) == [(10, 10_000)]


def test_a_throttled_reading_closes_the_key_for_everybody(node: Node, sandbox: Provider) -> None:
    sandbox.script(("credits", 1, "throttle"))

    node.round()

    blocked = node.query("SELECT blocked_until > :now AS is_blocked FROM account", now=node.clock())
    assert blocked == [{"is_blocked": True}]


def test_nothing_is_asked_with_a_key_that_the_provider_refuses(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.revoke()
    node.run_for(timedelta(seconds=5))
    calls = node.query("SELECT count(*) AS n FROM call WHERE kind = 'credits'")

    upkeep.run(node.services, UpkeepKind.WALLET)

    assert node.pause_reason() == "api_key_revoked"
    assert node.query("SELECT count(*) AS n FROM call WHERE kind = 'credits'") == calls


def test_what_was_said_since_and_the_wallet_around_the_sends_are_evidence_of_a_doubt(
    node: Node, sandbox: Provider
) -> None:
    node.run_for(timedelta(minutes=2))
    doubtful(node, sandbox)
    node.run_for(timedelta(minutes=20))

    with node.services.database.transaction() as tx:
        (doubt,) = in_doubt.all_of_them(tx)
        wallet = doubt_evidence.wallet_around(tx, doubt)
        said = doubt_evidence.last_said(tx, doubt.generation_id)

    assert [reading.credits for reading in wallet] == [10_000, 9_996]
    assert said is not None
    assert (said.reserved, said.code) == (4, None)


def test_more_doubts_than_one_go_asks_about_are_all_asked_about_before_the_next_time(
    node: Node, sandbox: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "MOST_REREAD", 2)
    node.submit(*({"prompt": str(number)} for number in range(5)))
    sandbox.set(faults={"create": {"never_ends": 1.0}})
    node.run_for(timedelta(seconds=30))
    node.clock.advance(timedelta(days=1))
    node.run_for(timedelta(minutes=3))

    asked = node.query("SELECT generation_id, count(*) AS times FROM generation_reading GROUP BY generation_id")

    assert sorted(row["times"] for row in asked) == [1] * 5


def test_the_ledger_is_sealed_every_hour(node: Node) -> None:
    node.round()
    node.submit({"prompt": "A chair"})
    node.run_for(timedelta(minutes=61))

    node.submit({"prompt": "A table"})
    node.run_for(timedelta(hours=2))

    assert node.query("SELECT entries FROM seal ORDER BY id") == [{"entries": 3}, {"entries": 3}]
    assert books.failed_checks(node) == []


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


def test_a_doubt_about_which_the_provider_says_that_it_has_ended_is_taken_up_and_comes_home(
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

    upkeep.run(node.services, UpkeepKind.REREAD)

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

    upkeep.run(node.services, UpkeepKind.REREAD)

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
    monkeypatch.setattr(upkeep, "MOST_REREAD", 2)
    sandbox.set(faults={"create": {"never_ends": 1.0}})
    node.submit(*({"prompt": str(number)} for number in range(3)))
    node.run_for(timedelta(seconds=10))
    node.clock.advance(timedelta(hours=2))

    upkeep.run(node.services, UpkeepKind.REREAD)
    upkeep.run(node.services, UpkeepKind.REREAD)

    counts = "SELECT count(*) AS n FROM generation_reading GROUP BY generation_id ORDER BY n"
    assert node.query(counts) == [{"n": 1}, {"n": 1}, {"n": 1}]
