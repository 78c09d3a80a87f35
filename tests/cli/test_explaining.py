"""`darkroom explain` on a real database: the states that people ask about."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox, screen, unknown
from tests.pipeline.node import Node
from worker.batches import explaining
from worker.batches.rules.explaining import Explanation, Verdict
from worker.node.queries import nodes
from worker.node.queries.nodes import Beat

__all__ = ["clock", "folder", "node", "node_for", "process", "sandbox", "screen", "unknown"]

Screen = Callable[..., str]


def explained(node: Node, *, nodes: int = 1) -> Explanation:
    with node.services.database.transaction() as tx:
        job_id = tx.execute(text("SELECT id FROM job ORDER BY id LIMIT 1")).scalar_one()
        found = explaining.explain_job(tx, job_id, nodes=nodes, now=node.clock())
    assert found is not None
    return found


def test_a_job_is_explained_from_its_submission_to_its_end(node: Node) -> None:
    node.submit({"prompt": "A chair"}, {"prompt": "A sofa"})
    pending = explained(node)
    node.round()
    active = explained(node)
    node.run_until_quiet()

    assert (pending.verdict, pending.state) == (Verdict.WAITING, "pending")
    assert (active.verdict, active.state) == (Verdict.WORKING, "active")
    assert "it is at the provider since" in active.why
    assert active.next_at is not None
    assert explained(node).why.endswith("4 credits were charged")


def test_a_job_behind_a_paused_account_says_so(node: Node) -> None:
    node.submit({"prompt": "A chair"})
    with node.services.database.transaction() as tx:
        tx.execute(text("UPDATE account SET pause_reason = 'operator', paused_at = now()"))

    found = explained(node)

    assert (found.verdict, found.to_do) == (Verdict.NEEDS_ACTION, "`darkroom account resume default`")
    assert "account paused: operator" in found.why


def test_a_job_in_doubt_needs_a_person(unknown: Node) -> None:
    found = explained(unknown)

    assert (found.verdict, found.state) == (Verdict.NEEDS_ACTION, "in_doubt")
    assert "4 are held" in found.why


def test_a_job_that_is_not_there_has_no_explanation(node: Node) -> None:
    with node.services.database.transaction() as tx:
        assert explaining.explain_job(tx, uuid7(), nodes=1, now=node.clock()) is None


@pytest.mark.parametrize("words", [("chairs", "a"), ("chairs",)])
def test_without_a_node_the_command_says_that_one_is_missing(
    node: Node, screen: Screen, words: tuple[str, ...]
) -> None:
    node.submit({"key": "a", "prompt": "A chair"}, name="chairs")

    said = screen("explain", *words)

    assert "it needs you" in said
    assert "no worker node" in said


def test_the_command_finds_a_job_by_its_key_and_its_id(node: Node, screen: Screen) -> None:
    node.submit({"key": "a", "prompt": "A chair"}, name="chairs")
    with node.services.database.transaction() as tx:
        nodes.beat(tx, Beat(node_id=uuid7(), name="host:1", version="0", round_age_s=0, clock_offset_s=0))
        job_id = tx.execute(text("SELECT id FROM job")).scalar_one()

    by_key, by_id = (
        json.loads(screen("explain", "chairs", "a", "--json")),
        json.loads(screen("explain", str(job_id), "--json")),
    )

    assert by_key == by_id
    assert by_key["verdict"] == "waiting"
    assert json.loads(screen("explain", "chairs", "--json"))["state"] in {"running", "waiting"}


def test_a_key_that_is_not_in_the_batch_is_refused(node: Node, screen: Screen) -> None:
    node.submit({"key": "a", "prompt": "A chair"}, name="chairs")

    assert screen("explain", "chairs", "b") == ""
