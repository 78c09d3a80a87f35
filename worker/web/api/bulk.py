"""Bulk operations over HTTP: preview an action on all that matches, start, follow and stop it; with its models."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import Connection

from worker import wiring
from worker.batches import bulk_operations, views
from worker.batches.actions import Order
from worker.batches.queries import bulk_operations as rows
from worker.batches.queries.bulk_operations import OperationRow
from worker.batches.rules.bulk_operation import BulkAction, Selection
from worker.catalog import reviewing
from worker.catalog.queries import catalogs
from worker.catalog.queries.review_queue import ImageFilter
from worker.catalog.reviewing import BulkDecision
from worker.catalog.rules.decisions import Verdict
from worker.core.rules.batch_request import Priority, Purpose
from worker.core.rules.fault import UnfitError
from worker.core.rules.states import BatchAction
from worker.web.api.operations import Call, field_problem, not_found
from worker.web.api.schemas import Asked, Count, Label, Limit, Reasoned
from worker.web.problems import Forbidden, Problem
from worker.web.rules.identity import Right

Action = Literal["pause", "resume", "reprioritise", "cancel", "retry", "decide"]


class BulkFilter(Asked):
    """Conditions that select batches or images; all of them must hold. `all` stands for no condition.

    `decide` is about images of one catalog: `catalog`, with `sku`, `plan` and `as_ordered`; the others are of batches.
    """

    owner: Label | None = None
    name: Label | None = Field(None, description="`*` stands for any characters, `?` for one")
    purpose: Purpose | None = None
    priority: Priority | None = None
    since: AwareDatetime | None = Field(None, description="Submitted then or later")
    before: AwareDatetime | None = Field(None, description="Submitted before")
    catalog: Label | None = Field(None, description="For decide: whose undecided images")
    sku: Label | None = Field(None, description="For decide: `*` stands for any characters, `?` for one")
    plan: UUID | None = Field(None, description="For decide: images that this plan asked for")
    as_ordered: bool | None = Field(None, description="For decide: whether size and format are those that were ordered")
    all: bool = False


class NewBulkOperation(Reasoned):
    """An action on every active batch that matches, or a decision on every undecided image."""

    action: Action
    filter: BulkFilter
    priority: Priority | None = Field(None, description="For reprioritise")
    weight: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(None, description="For reprioritise")
    code: Label | None = Field(None, description="For retry: only jobs that failed with it")
    verdict: Literal["accept", "reject"] | None = Field(
        None, description="For decide; it is saved as a reviewer's, and takes effect when decisions are applied"
    )


class BulkOperation(BaseModel):
    """An action on a set of batches or images that was fixed when it was requested."""

    id: UUID
    action: Action
    state: Literal["previewed", "running", "done", "cancelled"]
    filter: dict[str, Any]
    priority: Priority | None
    weight: int | None
    code: str | None
    verdict: str | None
    actor: str
    reason: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    batches: Count = Field(description="Its items: batches, or images that are decided on")
    waiting: Count
    done: Count
    skipped: Count
    failed: Count
    jobs: Count = Field(description="Jobs that it would reach, by the preview")
    credits: Count = Field(description="Credits of these jobs: held or reserved, or to be held once they are admitted")


class BulkOperations(BaseModel):
    """The newest operations."""

    operations: list[BulkOperation]


class OperationQuery(Asked):
    """How many operations are listed."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20


class TargetCredits(BaseModel):
    """Credits that an action on a batch would reach."""

    pending: Count
    unsent: Count
    at_provider: Count
    failed: Count


class Target(BaseModel):
    """A batch as the preview showed it."""

    batch: UUID
    name: str
    owner: str
    state: str
    priority: Priority
    weight: int
    pending: Count
    begun: Count
    unsent: Count
    failed: Count = Field(description="Failed jobs that a retry renders anew")
    recalled: Count = Field(description="Failed jobs whose image is paid for, and that a retry downloads again")
    credits: TargetCredits


class ImageTarget(BaseModel):
    """An undecided image as the preview showed it."""

    image: UUID
    sku: str
    catalog: str
    batch: UUID
    job: UUID
    sha256: str
    not_as_ordered: list[str]


class BulkItem(BaseModel):
    """One item of an operation, and its outcome."""

    position: int
    state: Literal["waiting", "done", "skipped", "failed"]
    detail: str | None
    seen: Target | ImageTarget
    effect: dict[str, Any] | None


class BulkItemPage(BaseModel):
    """Some items, in the order of the operation."""

    items: list[BulkItem]
    next: int | None = Field(description="`after` of the next page; null: this is the last one")


class ItemQuery(Asked):
    """Which items are listed."""

    after: Annotated[int, Field(ge=0, le=2_000_000_000)] = 0
    limit: Limit = 100


HERE = timedelta(seconds=2)
"""How long an operation is worked on before its request is answered; nodes do the rest."""


def create(call: Call, body: NewBulkOperation) -> dict[str, Any]:
    """Keep what matches, with what the action would reach; nothing is done before it is started."""
    _expect_right(call, BulkAction(body.action))
    if body.action == "decide":
        return views.operation(_decide(call, body))
    _expect_none(body, body.filter, "verdict", "catalog", "sku", "plan", "as_ordered")
    if body.action == "reprioritise" and body.priority is None and body.weight is None:
        raise Problem(422, "request_invalid", "the body has neither priority nor weight")
    if body.priority is not None and not call.principal.may_ask_for(Priority(body.priority)):
        raise Forbidden(f"{call.principal.actor} may ask for the priority {call.principal.max_priority} at most")
    order = Order(
        action=BatchAction(body.action),
        author=call.author(body.reason),
        priority=None if body.priority is None else Priority(body.priority),
        weight=body.weight,
        code=body.code,
    )
    return views.operation(bulk_operations.create(call.database, order, _selection(call, body.filter)))


def _expect_right(call: Call, action: BulkAction) -> None:
    """Raise Forbidden: who decides on images reviews, who acts on batches controls."""
    needed = Right.REVIEW if action is BulkAction.DECIDE else Right.CONTROL
    if not call.principal.may(needed):
        raise Forbidden(f"{call.principal.actor} has no right to {needed}")


def _expect_none(body: NewBulkOperation, asked: BulkFilter, *names: str) -> None:
    """Raise Problem for a field that says nothing about this action."""
    given = [each for each in names if getattr(body, each, None) is not None or getattr(asked, each, None) is not None]
    if given:
        raise Problem(422, "request_invalid", f"{given[0]} says nothing about {body.action}: leave it out")


def _decide(call: Call, body: NewBulkOperation) -> OperationRow:
    asked = body.filter
    _expect_none(body, asked, "weight", "code", "owner", "name", "purpose", "priority", "since", "before")
    if call.principal.owner is not None:
        raise Forbidden(f"{call.principal.actor} acts for the owner {call.principal.owner}, and catalogs are of all")
    if body.verdict is None or asked.catalog is None:
        raise Problem(422, "request_invalid", "to decide, say the verdict and filter.catalog")
    wanted = ImageFilter(sku=asked.sku, plan=asked.plan, as_ordered=asked.as_ordered)
    if wanted.is_empty != asked.all:
        raise Problem(422, "request_invalid", 'the filter must name a condition beside the catalog, or {"all": true}')
    with call.database.transaction() as tx:
        catalog = catalogs.by_name(tx, asked.catalog)
    if catalog is None:
        raise not_found("catalog")
    order = BulkDecision(verdict=Verdict(body.verdict), wanted=wanted)
    try:
        return reviewing.create_bulk(call.database, call.author(body.reason), catalog, order)
    except UnfitError as unfit:
        raise field_problem("reason", unfit) from None


def _selection(call: Call, asked: BulkFilter) -> Selection:
    """Read the filter; what acts for one owner means that owner's batches, whatever it asks for."""
    own = call.principal.owner
    if own is not None and asked.owner not in {None, own}:
        raise Forbidden(f"{call.principal.actor} acts for the owner {own}")
    found = Selection(
        owner=asked.owner,
        name=asked.name,
        purpose=None if asked.purpose is None else Purpose(asked.purpose),
        priority=None if asked.priority is None else Priority(asked.priority),
        since=asked.since,
        before=asked.before,
    )
    if found.is_empty != asked.all:
        raise Problem(422, "request_invalid", 'the filter must name a condition, or else be {"all": true}')
    return found if own is None else Selection(**{**vars(found), "owner": own})


def list_operations(call: Call, query: OperationQuery) -> dict[str, Any]:
    """Return the newest operations."""
    with call.database.transaction() as tx:
        found = rows.newest(tx, owner=call.principal.owner, limit=query.limit)
    return {"operations": [views.operation(each) for each in found]}


def show(call: Call) -> dict[str, Any]:
    """Return where one operation stands."""
    with call.database.transaction() as tx:
        return views.operation(_found(call, tx))


def list_items(call: Call, query: ItemQuery) -> dict[str, Any]:
    """Return the batches or images of an operation, in their order, and the outcome of each."""
    with call.database.transaction() as tx:
        found = rows.items(tx, _found(call, tx).id, after=query.after, limit=query.limit)
    is_last = len(found) < query.limit
    return {"items": [views.item(each) for each in found], "next": None if is_last else found[-1].position}


def start(call: Call) -> dict[str, Any]:
    """Do the previewed action: here for a moment, then on the nodes."""
    clock = call.context.clock
    operation_id = _to_change(call)
    above = call.context.settings.approve_above
    bulk_operations.start(call.database, operation_id, call.author(), approve_above=above)
    until = clock() + HERE
    steps = bulk_operations.advance(
        call.database, operation_id, decide=reviewing.decide_item, clock=clock, new_id=wiring.new_id
    )
    for _ in steps:
        if clock() >= until:
            break
    return show(call)


def cancel(call: Call) -> dict[str, Any]:
    """Stop an operation: what is done stays done, what waits is skipped."""
    operation_id = _to_change(call)
    return views.operation(bulk_operations.cancel(call.database, operation_id, now=call.context.clock()))


def _to_change(call: Call) -> UUID:
    """Return the operation's id; raise Forbidden when the identity may not do what it does."""
    with call.database.transaction() as tx:
        found = _found(call, tx)
    _expect_right(call, found.action)
    return found.id


def _found(call: Call, tx: Connection) -> OperationRow:
    found = rows.read(tx, call.id("operation_id"))
    own = call.principal.owner
    if found is None or (own is not None and found.selection.get("owner") != own):
        raise not_found("operation")
    return found
