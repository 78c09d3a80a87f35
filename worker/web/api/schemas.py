"""What the HTTP API takes and answers, as pydantic models: requests are checked by them, answers only declared."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from worker.core.rules.batch_request import CREDIT_CAP_MAX, Priority, Purpose
from worker.core.rules.models_catalogue import SizePolicy
from worker.web.api.operations import LISTED

Label = Annotated[str, Field(min_length=1, max_length=200)]
Reason = Annotated[str, Field(min_length=1, max_length=1_000)]
Count = Annotated[int, Field(ge=0)]
Cursor = Annotated[str, Field(min_length=1, max_length=400, description="`next` of the page before")]
Limit = Annotated[int, Field(ge=1, le=1_000)]
State = Literal["open", "running", "waiting", "paused", "done", "cancelled", "refused"]
JobState = Literal["pending", "active", "succeeded", "failed", "cancelled", "in_doubt", "refused"]


class Asked(BaseModel):
    """Base of what clients send: what is not known is an error."""

    model_config = ConfigDict(extra="forbid")


class BatchFields(Asked):
    """What is common to the requests of a batch."""

    name: Label | None = None
    owner: Label | None = Field(None, description="Default: that of the token; with such a token no other one")
    purpose: Purpose | None = None
    priority: Priority | None = Field(None, description="Default: by the purpose; at most that of the token")
    credit_cap: Annotated[int, Field(ge=0, le=CREDIT_CAP_MAX)] | None = Field(
        None, description="Most credits that it may commit; at most that of the token"
    )
    deadline: Annotated[str, Field(min_length=1, max_length=60)] | None = Field(
        None, description="A span such as 6h, or an instant with its time zone"
    )
    size_policy: SizePolicy | None = None
    account: str | None = Field(None, description="The account that pays")
    pool: str | None = Field(None, description="Instead: the jobs are spread over the accounts of this pool")
    allow_extra: list[Label] | None = Field(
        None,
        json_schema_extra=LISTED,
        max_length=100,
        description="Columns that are kept although they look like others",
    )


class SubmitQuery(BatchFields):
    """How lines are submitted; the fields of the batch are for bodies of lines alone."""

    dry_run: bool = Field(False, description="Only check, and answer the price; nothing is kept")
    skip_invalid: bool = Field(False, description="Leave invalid lines out")


class RequestLine(BaseModel):
    """One requested image; further columns are parameters of the model, or kept for the results."""

    model_config = ConfigDict(extra="allow")

    prompt: Annotated[str, Field(min_length=1)]
    key: str | int | None = Field(None, description="Names the image; each once in a batch")
    model: str | None = None
    reference: str | list[str] | None = Field(None, description="https://..., sha256:..., or the name of a sent file")


class Submission(BaseModel):
    """A batch with its requests, as one document."""

    batch: BatchFields | None = None
    requests: Annotated[list[RequestLine], Field(min_length=1)]


class Fault(BaseModel):
    """One reason why one line is refused; line 0 is the batch itself."""

    line: int
    key: str | None
    field: str
    reason: str
    permitted: list[str]


class Receipt(BaseModel):
    """A batch that was taken."""

    batch: UUID
    token: str
    name: str
    jobs: int
    credits: int = Field(description="The price of one generation of each job")
    kept_not_used: list[str]
    faults: list[Fault] = Field(description="Of the lines that were left out; the first thousand")
    fault_count: int


class DryRun(BaseModel):
    """What a batch would be and cost."""

    lines: int
    bad_lines: int
    jobs: int
    credits: int
    references: int
    kept_not_used: list[str]
    faults: list[Fault]
    fault_count: int


class JobCounts(BaseModel):
    """Jobs by state."""

    pending: int
    active: int
    succeeded: int
    failed: int
    cancelled: int
    in_doubt: int


class BatchCredits(BaseModel):
    """Credits by account of the ledger; ``cap`` null: no cap."""

    cap: int | None
    held: int
    reserved: int
    spent: int


class NotDownloaded(BaseModel):
    """Paid images that are not in the store yet."""

    count: int
    since: datetime | None
    failing: int
    error: str | None
    next_try: datetime | None
    next_step: str | None


class WaitingFor(BaseModel):
    """What keeps pending jobs from being begun."""

    reason: str
    next_step: str


class Batch(BaseModel):
    """Where a batch stands."""

    batch: UUID
    name: str
    state: State
    done: bool
    jobs: JobCounts
    credits: BatchCredits
    not_downloaded: NotDownloaded
    not_as_ordered: list[dict[str, Any]]
    waiting_for: WaitingFor | None
    owner: str
    purpose: Purpose
    priority: Priority
    pool: str | None = Field(description="Over whose accounts its jobs are spread; null: one account pays for all")
    deadline: datetime | None
    token: str
    size: int
    created_at: datetime


class FailureGroup(BaseModel):
    """Failed jobs of one code."""

    code: str
    jobs: int
    key: str
    message: str | None


class BatchPayer(BaseModel):
    """An account that pays for a batch, and the credits that it has spent for it."""

    account: str
    spent: int


class BatchInFull(Batch):
    """Where a batch stands, with what is wrong in it."""

    accounts: list[BatchPayer]
    failures: list[FailureGroup]
    faults: list[Fault] = Field(description="Of lines that were left out; the first thousand")
    fault_count: int
    nodes: int = Field(description="Worker nodes that are alive")
    archived_at: datetime | None = Field(description="When its lines were moved into the archive; null: they were not")
    archive_folder: str | None = Field(description="Where their files lie in the store")


class BatchPage(BaseModel):
    """Some batches, the newest first."""

    batches: list[Batch]
    next: str | None = Field(description="Cursor of the next page; null: this is the last one")


class ListQuery(Asked):
    """Which batches are listed."""

    state: State | None = Field(None, description="open: running, waiting or paused")
    owner: Label | None = None
    token: Label | None = None
    name: Label | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Cursor | None = None


class JobCredits(BaseModel):
    """Credits of a job: of its last generation, and spent by all."""

    held: int | None
    reserved: int | None
    final: int | None
    spent: int


class Line(BaseModel):
    """The result of one line."""

    job: UUID | None = Field(description="null: the line was refused")
    batch: UUID
    line: int
    key: str | None
    state: JobState
    image: str | None = Field(description="Path of its image on this server")
    stored_elsewhere: bool | None
    sha256: str | None
    bytes: int | None
    mime_type: str | None
    width: int | None
    height: int | None
    as_ordered: bool | None
    not_as_ordered: list[str]
    credits: JobCredits
    provider_id: str | None
    generations: int
    reference: str | list[str] | None
    error: dict[str, Any] | None
    model: str | None
    prompt: str | None
    params: dict[str, Any] | None
    metadata: dict[str, Any] | None
    archived_at: datetime | None = Field(description="When it was moved into the archive, from which it was read")


class ResultPage(BaseModel):
    """Some lines of a batch, in their order."""

    results: list[Line]
    next: str | None = Field(description="Cursor of the next page; null: this is the last one")


class ResultQuery(Asked):
    """Which lines are answered; a stream has all after ``after``."""

    after: Cursor | None = None
    limit: Limit = 100


class Reasoned(Asked):
    """Why something is done; kept in the log of changes."""

    reason: Reason | None = None


class NewPriority(Reasoned):
    """A class, a weight within it, or both."""

    priority: Priority | None = None
    weight: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class Turn(BaseModel):
    """When the jobs of a batch have their turn."""

    priority: Priority
    weight: int


class Cancelled(BaseModel):
    """What a cancellation did."""

    cancelled: int
    released: int = Field(description="Credits of holds that were taken back")
    draining: int = Field(description="Jobs at the provider, which are paid for and downloaded")


class NewTry(Reasoned):
    """Which failed jobs to retry."""

    code: Label | None = Field(None, description="Only those that failed with this code")
    deadline: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    max_credits: Annotated[int, Field(ge=0, le=CREDIT_CAP_MAX)] | None = Field(
        None, description="Change nothing if it would cost more"
    )


class Retried(BaseModel):
    """The effect of a retry."""

    jobs: int
    credits: int
    recalled: int = Field(description="Paid images that are downloaded again, free of charge")
    left_out: int = Field(description="Jobs whose catalog no longer waits for their images")
    is_paused: bool


class NewCap(Reasoned):
    """The most that a batch may commit; null lifts the cap."""

    credits: Annotated[int, Field(ge=0, le=CREDIT_CAP_MAX)] | None


class CapChange(BaseModel):
    """A cap before and after."""

    before: int | None
    after: int | None
    committed: int


class Wallet(BaseModel):
    """The wallet at the provider when it was last read."""

    left: int | None
    read_at: datetime | None


class AccountPause(BaseModel):
    """Why the account does no paid work."""

    reason: str
    message: str | None
    since: datetime | None
    next_look_at: datetime | None


class Account(BaseModel):
    """The account at the provider."""

    account: str
    state: Literal["running", "blocked", "paused"]
    provider: str | None
    rate: float
    is_rate_learned: bool
    read_rate: float | None
    max_in_flight: int
    in_flight: int
    blocked_until: datetime | None
    wallet: Wallet | None = Field(description="null without the right to finance")
    paused: AccountPause | None
    paused_models: list[dict[str, Any]]
    settings: dict[str, Any]


class Problem(BaseModel):
    """An error (RFC 9457); docs/reference.md lists the codes that end ``type``."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
