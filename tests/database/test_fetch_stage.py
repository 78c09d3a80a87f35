"""A message with references to fetch is kept until its outcome is written, by one process, once."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from tests.acceptance.waiting import until
from tests.pipeline.node import Node
from worker.audit.queries import instants
from worker.intake.queries import messages
from worker.intake.queries.messages import CLAIM_LEASE, Claimed, ClaimLost
from worker.intake.rules.delivery import ENQUEUE, Delivery
from worker.node import celery_intake, fetch_stage
from worker.node.celery_intake import Terms
from worker.node.fetch_stage import MOST_TRIES, FetchStage
from worker.storage.fetch.budget import FetchBounds, FetchBudget
from worker.storage.fetch.download import FetchLimits

INSIDE = "https://127.0.0.1/mug.png"
"""Refused before a connection is made."""
LIMITS = FetchLimits(max_bytes=10, total_s=30)


def delivery(token: str, *references: str) -> Delivery:
    requests = [{"prompt": "A mug"}, *({"prompt": "A mug", "reference": each} for each in references)]
    body = json.dumps([[], {"batch": {"token": token}, "requests": requests}, {}]).encode()
    return Delivery(
        queue=ENQUEUE,
        task=ENQUEUE,
        message_id=f"id of {token}",
        content_type="application/json",
        body=body,
        size_bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
    )


def keep(node: Node, *deliveries: Delivery) -> None:
    for each in deliveries:
        fetch_stage.take_or_keep(node.services, each, json.loads)


def claim(node: Node) -> Claimed | None:
    with node.services.database.transaction() as tx:
        return messages.claim_waiting(tx, node.services.account_id, now=node.clock())


@contextmanager
def stage(node: Node) -> Iterator[None]:
    at_work = FetchStage(node.services, json.loads)
    at_work.start()
    try:
        yield
    finally:
        at_work.stop()


def waiting(node: Node) -> int:
    return int(node.query("SELECT count(*) AS n FROM waiting_message")[0]["n"])


def states(node: Node) -> list[tuple[str, str]]:
    return [(row["token"], row["state"]) for row in node.query("SELECT token, state FROM batch ORDER BY token")]


def test_a_message_without_addresses_is_a_batch_at_once(node: Node) -> None:
    keep(node, delivery("plain"))

    assert (states(node), waiting(node)) == ([("plain", "open")], 0)


def test_a_message_with_an_address_is_kept_once_however_often_it_is_delivered(node: Node) -> None:
    keep(node, *[delivery("fetched", INSIDE)] * 3)

    assert (states(node), waiting(node)) == ([], 1)


def test_the_stage_writes_the_outcome_of_each_message_and_removes_it(node: Node) -> None:
    keep(node, *(delivery(f"{n}", INSIDE) for n in range(10)))

    with stage(node):
        until(lambda: waiting(node) == 0, "all have an outcome")

    assert states(node) == [(f"{n}", "refused") for n in range(10)]
    assert {row["line"] for row in node.query("SELECT line FROM refused_line")} == {2}


def test_a_message_is_claimed_by_one_process_and_again_when_its_lease_has_ended(node: Node) -> None:
    keep(node, delivery("a", INSIDE))

    first, meanwhile = claim(node), claim(node)
    node.clock.advance(CLAIM_LEASE)
    again = claim(node)

    assert (first is None, meanwhile is None, again is None) == (False, True, False)
    assert again is not None
    assert (again.tries, again.delivery) == (2, delivery("a", INSIDE))


def test_a_lease_that_is_renewed_does_not_end(node: Node) -> None:
    keep(node, delivery("a", INSIDE))
    mine = claim(node)
    assert mine is not None

    node.clock.advance(CLAIM_LEASE - timedelta(seconds=1))
    with node.services.database.transaction() as tx:
        assert messages.renew_claim(tx, [mine], now=node.clock()) == {mine.id}
    node.clock.advance(CLAIM_LEASE - timedelta(seconds=1))

    assert claim(node) is None


def test_a_node_that_has_lost_the_claim_writes_nothing(node: Node) -> None:
    keep(node, delivery("a", INSIDE))
    mine = claim(node)
    assert mine is not None
    node.clock.advance(CLAIM_LEASE)
    assert claim(node) is not None

    with pytest.raises(ClaimLost):
        celery_intake.take_or_refuse(
            node.services, mine.delivery, json.loads, Terms(finish=lambda tx: messages.remove_waiting(tx, mine))
        )

    assert (states(node), waiting(node)) == ([], 1)


def test_a_message_that_is_given_back_has_lost_no_try(node: Node) -> None:
    keep(node, delivery("a", INSIDE))
    for _ in range(2 * MOST_TRIES):
        mine = claim(node)
        assert mine is not None
        with node.services.database.transaction() as tx:
            messages.give_back_claim(tx, mine, due_at=node.clock())

    last = claim(node)

    assert last is not None
    assert last.tries == 1


def test_a_message_at_which_every_process_ends_is_refused_in_the_end(node: Node) -> None:
    keep(node, delivery("deadly", INSIDE))
    for _ in range(MOST_TRIES):
        assert claim(node) is not None
        node.clock.advance(CLAIM_LEASE)

    with stage(node):
        until(lambda: waiting(node) == 0, "it has an outcome")

    assert states(node) == [("deadly", "refused")]
    reasons = [row["reason"] for row in node.query("SELECT reason FROM refused_line")]
    assert reasons == [f"was given up: {MOST_TRIES} processes ended while they worked on it"]


def test_a_lease_that_ends_further_ahead_than_any_is_set_to_now(node: Node) -> None:
    keep(node, delivery("a", INSIDE))
    node.query("UPDATE waiting_message SET due_at = due_at + interval '1 day' RETURNING id")

    with node.services.database.transaction() as tx:
        found = instants.heal(tx, node.services.account_id, now=node.clock())

    assert [(each.table, each.column) for each in found] == [("waiting_message", "due_at")]
    assert claim(node) is not None


def test_a_message_has_a_number_of_references_and_of_bytes() -> None:
    few, small = FetchBudget(FetchBounds(count=2)), FetchBudget(FetchBounds(size_bytes=10))

    assert [_begin(few) for _ in range(3)][2:] == ["may be 2 in number"]
    small.begin(LIMITS)
    small.fetched(10)
    assert _begin(small) == "may have 10 bytes"


def test_a_library_asks_its_budget_before_each_fetch(node: Node) -> None:
    receipt = celery_intake.take_delivery(
        node.services,
        delivery("many", *(f"https://127.0.0.1/{n}.png" for n in range(3))),
        json.loads,
        Terms(budget=FetchBudget(FetchBounds(count=1))),
    )

    assert [("in number" in fault.reason) for fault in receipt.faults].count(True) == 2


def _begin(budget: FetchBudget) -> str:
    try:
        budget.begin(LIMITS)
    except ValueError as error:
        reason = str(error.args[0])
        return reason.split("the references of one message ")[1].split(" together", maxsplit=1)[0]
    return ""
