"""What the operations on many batches take and answer, as pydantic models."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from worker.core.rules.batch_request import Priority, Purpose
from worker.web.api.schemas import Asked, Count, Label, Limit, Reasoned

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
