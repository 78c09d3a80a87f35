"""One action on many batches: what is meant is frozen, each batch is done with its accounting; it can be stopped."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node
from worker.batches import actions, bulk_operations, control
from worker.batches.actions import ChangedMeanwhile, Order
from worker.batches.bulk_operations import OperationEnded
from worker.batches.queries import bulk_operations as rows
from worker.batches.queries.bulk_operations import OperationRow
from worker.batches.rules.bulk_operation import ItemState, OperationState, Selection
from worker.catalog import reviewing
from worker.core.rules.batch_request import Priority
from worker.core.rules.states import BatchAction, BatchState
from worker.ledger.second_person import SecondPersonNeeded

CHAIR = {"prompt": "A chair"}
MIA = Selection(owner="mia")
STATES = "SELECT name, state FROM batch ORDER BY name"
CHANGED = "SELECT field, actor, reason FROM change WHERE subject LIKE 'batch:%' ORDER BY id"


def order(node: Node, action: BatchAction) -> Order:
    return Order(action=action, author=node.author("the sale"))


def started(node: Node, action: BatchAction, selection: Selection = MIA) -> OperationRow:
    database = node.services.database
    made = bulk_operations.create(database, order(node, action), selection)
    return bulk_operations.start(database, made.id, node.author(), approve_above=None)


def advance(node: Node, operation: OperationRow, *, items: int = 100) -> OperationRow:
    """Do so many items here; return where the operation stands."""
    services = node.services
    steps = bulk_operations.advance(
        services.database,
        operation.id,
        decide=reviewing.decide_item,
        clock=services.clock,
        new_id=services.new_id,
    )
    for done, _ in enumerate(steps, start=1):
        if done == items:
            break
    return read(node, operation)


def read(node: Node, operation: OperationRow) -> OperationRow:
    with node.services.database.transaction() as tx:
        found = rows.read(tx, operation.id)
    assert found is not None
    return found


def outcomes(node: Node, operation: OperationRow) -> list[tuple[ItemState, str | None]]:
    with node.services.database.transaction() as tx:
        return [(each.state, each.detail) for each in rows.items(tx, operation.id)]


def states(node: Node) -> dict[str, str]:
    return {row["name"]: row["state"] for row in node.query(STATES)}


def submit_three(node: Node) -> None:
    for name in ("a", "b", "c"):
        node.submit(CHAIR, owner="mia", name=name)


def test_a_filter_matches_active_batches_and_shows_the_effect(node: Node, sandbox: Provider) -> None:
    node.submit(CHAIR, owner="mia", name="over")
    node.run_until_quiet()
    node.limit(rate=1000.0, window=1)
    node.submit(CHAIR, CHAIR, CHAIR, owner="mia", name="spring-1")
    node.round()
    node.submit(CHAIR, owner="tom", name="spring-2")

    (target,) = bulk_operations.preview(node.services.database, BatchAction.CANCEL, MIA)

    assert (target.name, target.pending, target.pending_credits) == ("spring-1", 2, 8)
    assert (target.begun, target.unsent, target.unsent_credits, target.at_provider_credits) == (1, 0, 0, 4)


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(name="spring*"), ["spring-1", "spring_2"]),
        (Selection(name="spring_?"), ["spring_2"]),
        (Selection(priority=Priority.INTERACTIVE), ["spring_2"]),
        (Selection(owner="mia", name="*2"), []),
        (Selection(), ["spring-1", "spring_2", "autumn"]),
    ],
)
def test_all_parts_of_a_filter_must_hold(selection: Selection, names: list[str], node: Node) -> None:
    node.submit(CHAIR, owner="mia", name="spring-1")
    node.submit(CHAIR, owner="tom", name="spring_2", priority="interactive")
    node.submit(CHAIR, owner="tom", name="autumn")

    targets = bulk_operations.preview(node.services.database, BatchAction.PAUSE, selection)

    assert [each.name for each in targets] == names


def test_only_the_batches_of_the_preview_are_acted_on_and_only_once_it_is_started(node: Node) -> None:
    node.submit(CHAIR, owner="mia", name="before")
    made = bulk_operations.create(node.services.database, order(node, BatchAction.PAUSE), MIA)
    node.submit(CHAIR, owner="mia", name="after")

    previewed = advance(node, made)
    bulk_operations.start(node.services.database, made.id, node.author(), approve_above=None)
    done = advance(node, made)

    assert (previewed.state, previewed.waiting) == (OperationState.PREVIEWED, 1)
    assert (done.state, done.items, done.done, done.jobs, done.credits) == (OperationState.DONE, 1, 1, 1, 4)
    assert states(node) == {"after": "open", "before": "paused"}


def test_the_author_of_each_change_is_who_ordered_it_wherever_it_is_done(node: Node) -> None:
    submit_three(node)
    started(node, BatchAction.PAUSE)
    node.keep({"bulk_operations": timedelta(seconds=5)})

    node.round()

    assert states(node) == {"a": "paused", "b": "paused", "c": "paused"}
    assert {tuple(row.values()) for row in node.query(CHANGED)} == {("state", "ann", "the sale")}


def test_a_node_goes_on_where_a_command_has_ended(node: Node, sandbox: Provider) -> None:
    submit_three(node)
    operation = started(node, BatchAction.CANCEL)
    begun = advance(node, operation, items=1)
    node.keep({"bulk_operations": timedelta(seconds=5)})

    node.run_for(timedelta(minutes=1))

    assert (begun.state, begun.done, begun.waiting) == (OperationState.RUNNING, 1, 2)
    assert read(node, operation).state is OperationState.DONE
    assert states(node) == {"a": "cancelled", "b": "cancelled", "c": "cancelled"}
    books.check(node, sandbox)


def test_a_batch_whose_state_has_changed_is_skipped_with_the_reason(node: Node) -> None:
    receipt = node.submit(CHAIR, owner="mia")
    operation = started(node, BatchAction.CANCEL)
    control.pause(node.services.database, receipt.batch_id, node.author())

    done = advance(node, operation)

    assert (done.state, done.skipped) == (OperationState.DONE, 1)
    reason = str(ChangedMeanwhile(receipt.batch_id, BatchState.PAUSED))
    assert outcomes(node, operation) == [(ItemState.SKIPPED, reason)]
    assert node.jobs() == ["pending"]


def test_an_error_of_the_program_fails_one_item_and_leaves_its_batch_as_it_was(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit_three(node)
    operation = started(node, BatchAction.PAUSE)
    perform, seen = actions.perform, []

    def breaks_second(*given: object, **named: object) -> actions.Effect:
        seen.append(perform(*given, **named))  # type: ignore[arg-type]
        if len(seen) == 2:
            raise RuntimeError("a fault")
        return seen[-1]

    monkeypatch.setattr(actions, "perform", breaks_second)
    done = advance(node, operation)

    assert (done.state, done.done, done.failed) == (OperationState.DONE, 2, 1)
    assert states(node) == {"a": "paused", "b": "open", "c": "paused"}
    assert len(node.query(CHANGED)) == 2


def test_a_cancelled_operation_skips_what_was_not_done(node: Node) -> None:
    submit_three(node)
    operation = started(node, BatchAction.PAUSE)
    advance(node, operation, items=1)

    bulk_operations.cancel(node.services.database, operation.id, now=node.clock())
    advance(node, operation)

    assert read(node, operation).state is OperationState.CANCELLED
    assert states(node) == {"a": "paused", "b": "open", "c": "open"}
    skipped = (ItemState.SKIPPED, "the operation was cancelled")
    assert outcomes(node, operation) == [(ItemState.DONE, None), skipped, skipped]


def test_an_operation_that_has_ended_is_neither_started_nor_cancelled_again(node: Node) -> None:
    submit_three(node)
    operation = started(node, BatchAction.PAUSE)
    advance(node, operation)

    with pytest.raises(OperationEnded, match="is done already"):
        bulk_operations.start(node.services.database, operation.id, node.author(), approve_above=None)
    with pytest.raises(OperationEnded, match="is done already"):
        bulk_operations.cancel(node.services.database, operation.id, now=node.clock())


def test_an_empty_filter_is_kept_as_all(node: Node) -> None:
    submit_three(node)

    made = bulk_operations.create(node.services.database, order(node, BatchAction.PAUSE), Selection())

    assert (dict(made.selection), made.items) == ({"all": True}, 3)


FAILING, WELL = ({"create": {"fail_generation": share}} for share in (1.0, 0.0))


@pytest.fixture
def failed(node: Node, sandbox: Provider) -> list[UUID]:
    """Return two batches of one failed job each; the provider is well again."""
    sandbox.set(faults=FAILING)
    batches = [node.submit({"prompt": name}, owner="mia", name=name).batch_id for name in ("a", "b")]
    node.run_until_quiet()
    sandbox.set(faults=WELL)
    return batches


def test_a_retry_puts_the_failed_jobs_of_all_matching_batches_back_in_line(
    node: Node, sandbox: Provider, failed: list[UUID]
) -> None:
    node.submit(CHAIR, owner="mia", name="nothing failed here")

    done = advance(node, started(node, BatchAction.RETRY))
    node.run_until_quiet()

    assert (done.items, done.done, done.jobs, done.credits) == (2, 2, 2, 8)
    assert node.jobs() == ["succeeded"] * 3
    books.check(node, sandbox)


def test_a_retry_costs_no_more_than_was_shown(node: Node, sandbox: Provider, failed: list[UUID]) -> None:
    operation = started(node, BatchAction.RETRY)
    node.query("UPDATE job SET price = price + 1 WHERE batch_id = :id RETURNING id", id=failed[0])

    advance(node, operation)

    first, second = outcomes(node, operation)
    assert (first[0], "costs 5 credits meanwhile, 4 were shown" in str(first[1])) == (ItemState.SKIPPED, True)
    assert second == (ItemState.DONE, None)
    assert node.jobs() == ["failed", "pending"]


def test_a_dear_retry_is_started_by_a_second_person(node: Node, failed: list[UUID]) -> None:
    database, mia = node.services.database, node.author()
    made = bulk_operations.create(database, order(node, BatchAction.RETRY), MIA)

    for _ in range(2):
        with pytest.raises(SecondPersonNeeded, match="another person starts it within 7 days"):
            bulk_operations.start(database, made.id, mia, approve_above=7)
    waiting = read(node, made).state
    bulk_operations.start(database, made.id, replace(mia, actor="rita"), approve_above=7)

    assert (waiting, advance(node, made).done) == (OperationState.PREVIEWED, 2)


def test_a_retry_of_one_code_leaves_other_failures_alone(node: Node, failed: list[UUID]) -> None:
    found = bulk_operations.preview(node.services.database, BatchAction.RETRY, MIA, code="content_refused")

    assert found == []
