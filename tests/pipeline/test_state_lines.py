"""The log has a line for each change of a state: one, once it is committed."""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from ops import reference
from tests.fixtures.provider import Provider
from tests.pipeline.node import Node
from worker.accounts import control as accounts
from worker.batches import bulk_operations, control
from worker.batches import events as batch_events
from worker.batches.actions import Order
from worker.batches.rules.bulk_operation import ItemState, OperationState, Selection
from worker.catalog import reviewing
from worker.catalog.rules.schedule import RunState
from worker.core.rules.states import ENDED_JOBS, BatchAction, BatchState, GenerationState, JobState

EVENTS: dict[type[StrEnum], dict[StrEnum, str]] = {
    JobState: {
        JobState.PENDING: "job.requeued",
        JobState.ACTIVE: "job.active",
        JobState.SUCCEEDED: "job.succeeded",
        JobState.FAILED: "job.failed",
        JobState.CANCELLED: "job.cancelled",
        JobState.IN_DOUBT: "job.in_doubt",
    },
    GenerationState: {state: f"generation.{state}" for state in GenerationState},
    BatchState: {
        BatchState.OPEN: "batch.resumed",
        BatchState.PAUSED: "batch.paused",
        BatchState.CANCELLED: "batch.cancelled",
        BatchState.REFUSED: "batch.refused",
    },
    OperationState: {state: f"bulk_operation.{state}" for state in OperationState},
    ItemState: {
        ItemState.WAITING: "bulk_operation.previewed",
        ItemState.DONE: "bulk_operation.item_done",
        ItemState.SKIPPED: "bulk_operation.item_skipped",
        ItemState.FAILED: "bulk_operation.item_failed",
    },
    RunState: dict.fromkeys(RunState, "schedule.run_moved"),
}
"""The line that says that something has come into a state; what a batch's line counts has no line for each job."""
KNOWN = {event.name for event in reference.events()}
Lines = list[Any]


@pytest.mark.parametrize(("kind", "state"), [(kind, state) for kind in EVENTS for state in kind])
def test_each_state_has_a_line_of_its_own(kind: type[StrEnum], state: StrEnum) -> None:
    assert EVENTS[kind][state] in KNOWN


def succeed(node: Node, _: Provider) -> None:
    node.submit({"prompt": "A chair"})
    node.run_until_quiet()


def fail_at_once(node: Node, sandbox: Provider) -> None:
    sandbox.set(moderated_prompts="nude", moderation_status=422)
    node.submit({"prompt": "A nude chair"})
    node.run_until_quiet()


def fail_at_the_provider(node: Node, sandbox: Provider) -> None:
    sandbox.set(moderated_prompts="nude", moderation_status=0)
    node.submit({"prompt": "A nude chair"})
    node.run_until_quiet()


def lose_the_answer(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.2))
    node.clock.advance(timedelta(hours=2))
    node.run_until_quiet()


def cancel(node: Node, _: Provider) -> None:
    receipt = node.submit({"prompt": "A chair"})
    control.cancel(node.services.database, receipt.batch_id, now=node.clock(), by=node.author())


def be_shut_out_for_a_while(node: Node, sandbox: Provider) -> None:
    sandbox.disable()
    node.submit({"prompt": "A chair"})
    node.run_for(timedelta(seconds=3))


Scenario = Callable[[Node, Provider], None]
JOBS: dict[JobState, Scenario] = {
    JobState.SUCCEEDED: succeed,
    JobState.FAILED: fail_at_once,
    JobState.CANCELLED: cancel,
    JobState.IN_DOUBT: lose_the_answer,
}


@pytest.mark.parametrize("state", sorted(ENDED_JOBS))
def test_a_job_that_ends_has_one_line_for_its_end(state: JobState, node: Node, sandbox: Provider) -> None:
    with capture_logs() as lines:
        JOBS[state](node, sandbox)

    [job] = node.query("SELECT id, state FROM job")
    assert job["state"] == state
    if state is JobState.CANCELLED:
        # Jobs that end with their batch are counted in its line.
        assert [line["jobs_cancelled"] for line in named(lines, "batch.cancelled")] == [1]
    else:
        assert [line["job"] for line in named(lines, EVENTS[JobState][state])] == [str(job["id"])]
        assert len(named(lines, "job.active")) == 1


GENERATIONS: dict[GenerationState, Scenario] = {
    GenerationState.SUCCEEDED: succeed,
    GenerationState.FAILED: fail_at_the_provider,
    GenerationState.REFUSED: fail_at_once,
    GenerationState.VOID: be_shut_out_for_a_while,
    GenerationState.IN_DOUBT: lose_the_answer,
}


@pytest.mark.parametrize("state", [s for s in GenerationState if s.has_ended or s is GenerationState.IN_DOUBT])
def test_a_generation_has_a_line_for_each_state_that_it_comes_into(
    state: GenerationState, node: Node, sandbox: Provider
) -> None:
    with capture_logs() as lines:
        GENERATIONS[state](node, sandbox)

    ended = [str(row["id"]) for row in node.query("SELECT id FROM generation WHERE state = :state", state=state)]
    assert ended
    assert sorted(line["generation"] for line in named(lines, f"generation.{state}")) == sorted(ended)
    made = len(node.query("SELECT id FROM generation"))
    assert len(named(lines, "generation.held")) == made
    accepted = node.query("SELECT id FROM generation WHERE accepted_at IS NOT NULL")
    assert len(named(lines, "generation.accepted")) == len(accepted)


def test_a_job_that_goes_back_in_line_has_a_line(node: Node, sandbox: Provider) -> None:
    with capture_logs() as lines:
        be_shut_out_for_a_while(node, sandbox)

    [job] = node.query("SELECT id, state FROM job")
    assert job["state"] == "pending"
    assert [line["job"] for line in named(lines, "job.requeued")] == [str(job["id"])]


def test_a_batch_that_is_paused_resumed_and_done_has_a_line_for_each(node: Node) -> None:
    receipt = node.submit({"prompt": "A chair"})

    with capture_logs() as lines:
        control.pause(node.services.database, receipt.batch_id, node.author())
        control.resume(node.services.database, receipt.batch_id, node.author())
        node.run_until_quiet()
        batch_events.write_due(node.services.database, now=node.clock())
        batch_events.write_due(node.services.database, now=node.clock())

    about = [(line["event"], line["batch"]) for line in lines if line["event"].startswith("batch.")]
    assert about == [(event, str(receipt.batch_id)) for event in ("batch.paused", "batch.resumed", "batch.done")]


def test_an_account_that_a_person_pauses_and_resumes_has_a_line_for_each(node: Node) -> None:
    with capture_logs() as lines:
        accounts.pause(node.services.database, "default", node.author())
        accounts.resume(node.services.database, "default", node.author())
        accounts.resume(node.services.database, "default", node.author())

    found = [(line["event"], line["by"]) for line in lines]
    assert found == [("account.paused", "ann"), ("account.resumed", "ann")]


def _advance(node: Node, operation_id: UUID) -> None:
    services = node.services
    for _ in bulk_operations.advance(
        services.database,
        operation_id,
        decide=reviewing.decide_item,
        clock=services.clock,
        new_id=services.new_id,
    ):
        pass


def test_a_bulk_operation_has_a_line_for_each_state_and_each_batch(node: Node) -> None:
    database, by = node.services.database, node.author()
    first, second = (node.submit({"prompt": "A chair"}, owner="mia").batch_id for _ in range(2))

    with capture_logs() as lines:
        order = Order(action=BatchAction.PAUSE, author=by)
        made = bulk_operations.create(database, order, Selection(owner="mia"))
        control.pause(database, second, by)
        bulk_operations.start(database, made.id, by, approve_above=None)
        _advance(node, made.id)
        _advance(node, made.id)

    states = ("previewed", "running", "item_done", "item_skipped", "done")
    found = [line["event"] for line in lines if line["event"].startswith("bulk_operation.")]
    assert found == [f"bulk_operation.{state}" for state in states]
    assert [line["batch"] for line in named(lines, "batch.paused")] == [str(second), str(first)]


def named(lines: Lines, event: str) -> Lines:
    return [line for line in lines if line["event"] == event]
