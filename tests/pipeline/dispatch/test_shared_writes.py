"""A node whose threads write together: what one at a time leaves, many at once leave too."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from tests.fixtures import writing
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node
from worker.core.db.group_commit import GroupCommit
from worker.core.rules.states import CALL_TIMEOUT, LEASES, StepKind
from worker.engine import dispatch
from worker.engine.queries.steps import Ticket
from worker.engine.services import Services
from worker.engine.steps import claiming, submit
from worker.engine.steps.calling import Calls
from worker.engine.steps.claiming import Claimed
from worker.engine.steps.perform import perform
from worker.engine.steps.submit import Accepted

TIMEOUT_S = 20
STEPS = "SELECT due_at, lease_until FROM step"
CLOSE = """
    UPDATE account SET blocked_until = :at, pause_reason = :reason, paused_at = CAST(:paused_at AS timestamptz)
    RETURNING 1"""

FAILED_BEFORE = """
    INSERT INTO prompt_failure (account_id, model, prompt_hash, failures, first_failed_at, last_failed_at, last_code)
    SELECT b.account_id, j.model, sha256(convert_to(j.prompt, 'UTF8')), 1, b.created_at, b.created_at, 'unlucky'
    FROM job j JOIN batch b ON b.id = j.batch_id RETURNING 1"""


@pytest.fixture
def services(node: Node) -> Services:
    """Return the node's parts with threads that write."""
    return writing.together(node.services, collectors=4)


def together(group: GroupCommit, services: Services, hand_in: Callable[[], Any]) -> Any:
    """Do what hands items in while a transaction is under way, so that they share the next."""
    is_begun, may_go_on = threading.Event(), threading.Event()

    def hold(tx: Connection, services: Services, items: Sequence[object]) -> list[None]:
        is_begun.set()
        assert may_go_on.wait(timeout=TIMEOUT_S)
        return writing.nothing(tx, services, items)

    group.write(hold, services, None)
    assert is_begun.wait(timeout=TIMEOUT_S)
    given = hand_in()
    may_go_on.set()
    return given


def claims_together(services: Services, tickets: Sequence[Ticket]) -> list[Claimed | None]:
    assert services.writers is not None
    group = services.writers.claims
    futures: list[Future[Claimed | None]] = together(
        group, services, lambda: [group.write(claiming.claim, services, ticket) for ticket in tickets]
    )
    return [future.result(timeout=TIMEOUT_S) for future in futures]


def taken(services: Services, claimed: Claimed) -> Accepted:
    """Have the provider take the request."""
    work, calls = claimed.work, Calls(services, claimed.work.generation_id)
    assert claimed.body is not None
    view = calls.create(body=claimed.body, idempotency_key=work.idempotency_key, send=1)
    return Accepted(work=work, calls=calls, view=view)


def rounds(node: Node) -> Iterator[Sequence[Ticket]]:
    """Yield what each round hands out, until no job is left."""
    while {"pending", "active"} & set(node.jobs()):
        decided = dispatch.run(node.services)
        yield decided.tickets
        node.clock.now = max(node.clock.now + timedelta(milliseconds=50), decided.look_again_at or node.clock.now)


def test_many_threads_at_once_bring_every_image_home_and_the_books_agree(
    node: Node, services: Services, sandbox: Provider
) -> None:
    node.submit(*({"key": str(n), "prompt": f"Stühle {{rows}} %s %(sent)s \U0001f4f7 {n}"} for n in range(60)))

    with capture_logs() as logged, ThreadPoolExecutor(12) as pool:
        for tickets in rounds(node):
            twice = [ticket for ticket in tickets for _ in range(2)]
            list(pool.map(lambda ticket: perform(services, ticket), twice))
            writing.finish(services)
    services.collectors.drain()

    assert node.jobs() == ["succeeded"] * 60
    assert not {"group.split", "step.failed", "step.crashed"} & {line["event"] for line in logged}
    books.check_all_done(node, sandbox)


def test_claims_that_share_a_transaction_have_each_their_own_bytes_and_a_doubled_one_has_none(
    node: Node, services: Services
) -> None:
    node.submit(*({"key": str(n), "prompt": str(n)} for n in range(3)))
    tickets = dispatch.run(node.services).tickets

    found = claims_together(services, [*tickets, tickets[0]])

    kept = {row["id"]: bytes(row["body"]) for row in node.query("SELECT id, body FROM generation WHERE sends = 1")}
    assert {one.work.generation_id: one.body for one in found if one} == kept
    assert len(kept) == 3
    assert found.count(None) == 1


def test_a_reused_id_among_outcomes_that_share_a_transaction_is_one_doubt_and_the_others_are_accepted(
    node: Node, services: Services
) -> None:
    node.submit(*({"key": str(n), "prompt": str(n)} for n in range(3)))
    claimed = claims_together(services, dispatch.run(node.services).tickets)
    first, second, third = (taken(services, one) for one in claimed if one)
    second = replace(second, view=replace(second.view, id=first.view.id))
    assert services.writers is not None

    def record() -> None:
        for each in (first, second, third):
            submit.record(services, each)

    together(services.writers.outcomes, services, record)
    writing.finish(services)

    assert sorted(node.generations()) == ["accepted", "accepted", "in_doubt"]
    assert node.query("SELECT count(*) AS n FROM call WHERE kind = 'create'") == [{"n": 3}]


def test_creates_at_another_price_than_was_held_are_booked_each_in_a_transaction_of_its_own(
    node: Node, services: Services, sandbox: Provider
) -> None:
    """Each locks its batch: two nodes could lock the same batches in different orders, and wait in a circle."""
    sandbox.set(price_delta=2)
    node.submit(*({"key": str(n), "prompt": str(n)} for n in range(3)))
    claimed = claims_together(services, dispatch.run(node.services).tickets)
    accepted_ones = [taken(services, one) for one in claimed if one]
    assert services.writers is not None

    def record() -> None:
        for each in accepted_ones:
            submit.record(services, each)

    together(services.writers.outcomes, services, record)
    writing.finish(services)

    assert node.query("SELECT count(DISTINCT xmin::text) AS n FROM credit_entry WHERE kind = 'top_up'") == [{"n": 3}]
    assert node.query("SELECT committed FROM batch") == [{"committed": 18}]


def test_charges_above_what_was_reserved_are_booked_each_in_a_transaction_of_its_own(
    node: Node, services: Services, sandbox: Provider
) -> None:
    sandbox.set(faults={"create": {"overcharge": 1.0}})
    node.submit(*({"key": str(n), "prompt": str(n)} for n in range(3)))
    node.deliver(dispatch.run(node.services).tickets)
    node.clock.advance(timedelta(seconds=3))
    polls = dispatch.run(node.services).tickets
    assert services.writers is not None

    def poll() -> None:
        for ticket in polls:
            perform(services, ticket)

    together(services.writers.outcomes, services, poll)
    writing.finish(services)
    services.collectors.drain()

    assert [ticket.kind for ticket in polls] == [StepKind.POLL] * 3
    assert node.query("SELECT count(DISTINCT xmin::text) AS n FROM credit_entry WHERE kind = 'overrun'") == [{"n": 3}]
    assert node.query("SELECT committed FROM batch") == [{"committed": 15}]


def test_successes_of_prompts_that_had_failed_are_booked_each_in_a_transaction_of_its_own(
    node: Node, services: Services
) -> None:
    """Each locks what is remembered of its prompt, which other nodes could lock in another order."""
    node.submit(*({"key": str(n), "prompt": str(n)} for n in range(3)))
    node.query(FAILED_BEFORE)
    node.deliver(dispatch.run(node.services).tickets)
    node.clock.advance(timedelta(seconds=3))
    polls = dispatch.run(node.services).tickets
    assert services.writers is not None

    def poll() -> None:
        for ticket in polls:
            perform(services, ticket)

    together(services.writers.outcomes, services, poll)
    writing.finish(services)
    services.collectors.drain()

    assert node.query("SELECT count(DISTINCT xmin::text) AS n FROM credit_entry WHERE kind = 'settle'") == [{"n": 3}]
    assert node.query("SELECT count(*) AS n FROM prompt_failure") == [{"n": 0}]


def test_a_step_that_is_locked_delays_no_other_claim(node: Node, services: Services) -> None:
    node.submit(*({"key": str(n), "prompt": str(n)} for n in range(2)))
    tickets = dispatch.run(node.services).tickets

    with psycopg.connect(services.database.conninfo) as other:
        other.execute("SELECT FROM step WHERE job_id = %s FOR UPDATE", [tickets[0].job_id])
        found = claims_together(services, tickets)

    assert [one and one.work.job_id for one in found] == [None, tickets[1].job_id]


@pytest.mark.parametrize(
    ("kind", "pause_reason"), [(StepKind.SUBMIT, None), (StepKind.POLL, None), (StepKind.POLL, "operator")]
)
def test_a_step_that_met_a_closed_key_is_due_when_it_opens_even_if_that_was_a_moment_ago(
    kind: StepKind, pause_reason: str | None, node: Node
) -> None:
    node.submit({"prompt": "1"})
    tickets = dispatch.run(node.services).tickets
    if kind is StepKind.POLL:
        node.deliver(tickets)
        node.clock.advance(timedelta(seconds=3))
        tickets = dispatch.run(node.services).tickets
    opens_at = node.clock() + timedelta(milliseconds=50)
    paused_at = pause_reason and node.clock()
    node.query(CLOSE, at=opens_at, reason=pause_reason, paused_at=paused_at)

    after_each_commit(node, lambda: node.clock.advance(timedelta(milliseconds=60)))
    node.deliver(tickets)

    assert tickets[0].kind is kind
    [row] = node.query(STEPS)
    assert row["due_at"] <= node.clock()
    assert row["lease_until"] is None


def test_a_create_is_sent_only_while_its_lease_lasts_for_the_whole_call_and_else_counts_as_not_sent(
    node: Node, sandbox: Provider
) -> None:
    node.submit({"prompt": "1"})
    tickets = dispatch.run(node.services).tickets

    after_each_commit(node, lambda: node.clock.advance(LEASES[StepKind.SUBMIT] - CALL_TIMEOUT + timedelta(seconds=1)))
    node.deliver(tickets)

    assert sandbox.tasks() == []
    assert node.query("SELECT sends - answers AS n FROM generation") == [{"n": 0}]
    after_each_commit(node, lambda: None)
    node.run_until_quiet()
    books.check_all_done(node, sandbox)
    assert len(sandbox.tasks()) == 1


def after_each_commit(node: Node, do: Callable[[], None]) -> None:
    def listener(effect: str) -> None:
        if effect == "after commit":
            do()

    node.services.database.listener = listener  # type: ignore[attr-defined]
