"""Jobs, their generations at the provider, the steps that are due, outside calls and results."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of
from models.metadata import Table
from worker.core.rules.batch_request import Priority
from worker.core.rules.states import GenerationState, JobState, StepKind
from worker.engine.rules.call import CallKind, CallOutcome


class Upload(Table):
    """A reference at the provider: many jobs share one upload, and one worker at a time makes it."""

    __tablename__ = "upload"
    __table_args__ = (CheckConstraint("(url IS NULL) = (uploaded_at IS NULL)", name="url_with_time"),)

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, comment="At whose account")
    reference_hash: Mapped[str] = mapped_column(ForeignKey("reference.sha256"), primary_key=True, comment="Which bytes")
    provider_id: Mapped[str | None] = mapped_column(comment="The provider's file id")
    url: Mapped[str | None] = mapped_column(comment="What a request names; NULL while it is being uploaded")
    uploaded_at: Mapped[datetime | None] = mapped_column(comment="When the provider confirmed it")
    lease_until: Mapped[datetime] = mapped_column(comment="Until when its uploader has it to itself")


class Job(Table):
    """Durable facts only: nothing here is written by a poll."""

    __tablename__ = "job"
    __table_args__ = (
        one_of("state", JobState),
        CheckConstraint("price > 0", name="price_positive"),
        CheckConstraint("erased_at IS NULL OR state IN ('succeeded', 'failed', 'cancelled')", name="erased_has_ended"),
        Index("uq_job_key_batch", "key", "batch_id", unique=True, postgresql_ops={"key": "text_pattern_ops"}),
        Index("ix_job_pending", "batch_id", "model", "line", postgresql_where=text("state = 'pending'")),
        Index("ix_job_batch_line", "batch_id", "line", postgresql_include=["state"]),
        Index("ix_job_faulty", "batch_id", "state", postgresql_where=text("state IN ('failed', 'in_doubt')")),
        Index("ix_job_failure", "failure_code", "id", postgresql_where=text("state IN ('failed', 'in_doubt')")),
        Index("ix_job_faulty_id", "id", postgresql_where=text("state IN ('failed', 'in_doubt')")),
        Index("ix_job_crashed", "ended_at", postgresql_where=text("failure_code = 'internal_error'")),
        Index("ix_job_ended", "batch_id", "ended_at", "id", postgresql_where=text("ended_at IS NOT NULL")),
        # Its condition is one that only queries of all batches name: those of one batch have the index above.
        Index("ix_job_ended_at", "ended_at", postgresql_where=text("ended_at > '-infinity'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"), comment="What it was submitted with")
    line: Mapped[int] = mapped_column(comment="Line of the manifest, from 1")
    key: Mapped[str] = mapped_column(comment="The caller's own name for it, unique in the batch")
    model: Mapped[str] = mapped_column(comment="The provider's model id")
    prompt: Mapped[str] = mapped_column(comment="Sent as it is")
    params: Mapped[dict[str, Any]] = mapped_column(comment="As the model names them, defaults filled in")
    reference_hash: Mapped[str | None] = mapped_column(
        ForeignKey("reference.sha256"), comment="SHA-256 of the reference image, if any"
    )
    further_references: Mapped[list[str] | None] = mapped_column(
        comment="SHA-256 of those after the first, in their order; NULL: there are none"
    )
    extra: Mapped[dict[str, Any]] = mapped_column(comment="The manifest's other columns, handed back in results")
    fingerprint: Mapped[str] = mapped_column(comment="SHA-256 over all that decides the image")
    price: Mapped[int] = mapped_column(comment="Credits that one generation of it holds")
    state: Mapped[str] = mapped_column(comment="pending, active, succeeded, failed, cancelled or in_doubt")
    generations: Mapped[int] = mapped_column(server_default="0", comment="Paid attempts begun")
    failures: Mapped[int] = mapped_column(server_default="0", comment="Paid attempts that the provider ended as failed")
    failure_code: Mapped[str | None] = mapped_column(
        comment="Why it failed, or failed last: the provider's code or ours"
    )
    failure_message: Mapped[str | None] = mapped_column(comment="The same in words")
    request_id: Mapped[str | None] = mapped_column(comment="The provider's request id of the failure")
    created_at: Mapped[datetime] = mapped_column(comment="When it was submitted")
    ended_at: Mapped[datetime | None] = mapped_column(comment="When it reached an end state")
    salt: Mapped[UUID | None] = mapped_column(
        server_default=func.gen_random_uuid(),
        comment="Random, a part of the sealed digests of it and of its requests; NULL: erased, or older than this"
        " column",
    )
    erased_at: Mapped[datetime | None] = mapped_column(
        comment="When its prompt and what else it said was erased; NULL: it was not"
    )
    account_id: Mapped[UUID | None] = mapped_column(
        comment="In a batch of a pool the account that began it and makes all its attempts;"
        " NULL: none yet, or its batch's",
    )


_CHANGE = "By how many the jobs in this state became more, or fewer (below 0)"


class JobCount(Table):
    """By how much the counts of a batch's jobs changed with one statement; the counts are the sums of these.

    Triggers of ``job`` write them. No foreign key: it would lock the row of the batch with each change.
    """

    __tablename__ = "job_count"

    batch_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Whose jobs")
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True, comment="Number of the change")
    pending: Mapped[int] = mapped_column(Integer, comment=_CHANGE)
    active: Mapped[int] = mapped_column(Integer, comment=_CHANGE)
    succeeded: Mapped[int] = mapped_column(Integer, comment=_CHANGE)
    failed: Mapped[int] = mapped_column(Integer, comment=_CHANGE)
    in_doubt: Mapped[int] = mapped_column(Integer, comment=_CHANGE)
    cancelled: Mapped[int] = mapped_column(Integer, comment=_CHANGE)


class Generation(Table):
    """The key and the exact bytes of a paid request, and all that the provider said about it."""

    __tablename__ = "generation"
    __table_args__ = (
        one_of("state", GenerationState),
        CheckConstraint("sends >= 0 AND answers BETWEEN 0 AND sends", name="sends_counted"),
        CheckConstraint("sends = 0 OR body IS NOT NULL", name="body_before_send"),
        CheckConstraint("idempotency_key = 'darkroom-' || id", name="idempotency_key_of_id"),
        Index("uq_generation_job_number", "job_id", "number", unique=True),
        Index(
            "ix_generation_live",
            "account_id",
            "state",
            postgresql_where=text("state IN ('held', 'sending', 'accepted', 'in_doubt')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id"), comment="What it is an attempt at")
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"), comment="Whose credits it uses")
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), comment="Who pays the provider")
    number: Mapped[int] = mapped_column(comment="1 for a job's first attempt")
    idempotency_key: Mapped[str] = mapped_column(comment="Sent with every copy of the request")
    body: Mapped[bytes | None] = mapped_column(LargeBinary, comment="The exact request; NULL until it is frozen")
    provider_id: Mapped[str | None] = mapped_column(unique=True, comment="The provider's id of the task")
    state: Mapped[str] = mapped_column(comment="held, sending, accepted, succeeded, failed, refused, void or in_doubt")
    held: Mapped[int] = mapped_column(comment="Credits promised before the call")
    reserved: Mapped[int | None] = mapped_column(comment="Credits that the provider said it reserved")
    final: Mapped[int | None] = mapped_column(comment="Credits that the provider finally charged")
    sends: Mapped[int] = mapped_column(server_default="0", comment="How often the request was begun to be sent")
    answers: Mapped[int] = mapped_column(server_default="0", comment="How many of them surely created nothing")
    recalls: Mapped[int] = mapped_column(
        server_default="0", comment="How often its image was asked for once more after the job had failed"
    )
    unreadable_sha256: Mapped[str | None] = mapped_column(comment="Of the last file in its image's place that is none")
    unreadable_times: Mapped[int] = mapped_column(server_default="0", comment="How often that file came in a row")
    binding: Mapped[int | None] = mapped_column(comment="Of its account when it was last begun to be sent")
    polls: Mapped[int] = mapped_column(server_default="0", comment="How often it was asked about before it ended")
    took_ms: Mapped[int | None] = mapped_column(
        BigInteger,
        comment=(
            "Milliseconds from its acceptance to its end, as the provider says; NULL: it does not, or it cannot be true"
        ),
    )
    result_url: Mapped[str | None] = mapped_column(comment="Where the provider put the image")
    error_code: Mapped[str | None] = mapped_column(comment="The provider's code when it did not succeed")
    error_message: Mapped[str | None] = mapped_column(comment="The provider's words")
    request_id: Mapped[str | None] = mapped_column(comment="The provider's id of the request that ended it")
    admitted_at: Mapped[datetime] = mapped_column(comment="When the hold was posted")
    first_sent_at: Mapped[datetime | None] = mapped_column(comment="When the request was first begun to be sent")
    last_sent_at: Mapped[datetime | None] = mapped_column(comment="When it was last begun to be sent")
    accepted_at: Mapped[datetime | None] = mapped_column(comment="When the provider's id was recorded")
    ended_at: Mapped[datetime | None] = mapped_column(comment="When its outcome was recorded")


class Step(Table):
    """One narrow row per live job, deleted when the job ends: the hot table is as small as the window in flight."""

    __tablename__ = "step"
    __table_args__ = (
        one_of("kind", StepKind),
        one_of("priority", Priority),
        Index("ix_step_due", "account_id", "due_at"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id"), primary_key=True, comment="Whose step it is")
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generation.id"), comment="The paid attempt it works on")
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), comment="Whose requests it uses")
    kind: Mapped[str] = mapped_column(comment="upload, submit, poll or collect")
    priority: Mapped[str] = mapped_column(server_default="bulk", comment="The class of its batch")
    due_at: Mapped[datetime] = mapped_column(comment="Not before this instant")
    lease_until: Mapped[datetime | None] = mapped_column(comment="Owned until then; past or NULL: free")
    fence: Mapped[int] = mapped_column(
        server_default="0", comment="Goes up with each lease and claim; an old one is stale"
    )
    attempts: Mapped[int] = mapped_column(server_default="0", comment="Tries of this kind that failed in a row")
    crashes: Mapped[int] = mapped_column(server_default="0", comment="Crashes of our own code in a row")
    error: Mapped[str | None] = mapped_column(comment="What went wrong at the last of those tries")
    polls: Mapped[int] = mapped_column(server_default="0", comment="Answers that it had not ended yet")
    since: Mapped[datetime] = mapped_column(comment="When the job came to this kind of step")
    looked_at: Mapped[datetime | None] = mapped_column(
        comment="When the provider last said that it has not ended; NULL: never"
    )
    hinted_at: Mapped[datetime | None] = mapped_column(
        comment="When a webhook last brought its poll forward; NULL: none did"
    )
    hints: Mapped[int] = mapped_column(SmallInteger, server_default="0", comment="How many webhooks did")


class Call(Table):
    """Written once, with the outcome that it led to; a trigger refuses UPDATE and DELETE.

    It has no foreign keys: checking one locks the row that it points to, and every call of an account would lock the
    same one.
    """

    __tablename__ = "call"
    __table_args__ = (
        one_of("kind", CallKind),
        one_of("outcome", CallOutcome),
        CheckConstraint("(kind IN ('credits', 'models')) = (generation_id IS NULL)", name="about_a_generation"),
        CheckConstraint("(kind = 'create') = (send IS NOT NULL)", name="send_numbered"),
        CheckConstraint("ended_at IS NOT NULL OR outcome = 'unknown'", name="end_known"),
        Index("ix_call_recorded", "recorded_at", postgresql_using="brin"),
        Index("ix_call_generation", "generation_id", postgresql_where=text("generation_id IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True, comment="In the order of writing")
    started_at: Mapped[datetime] = mapped_column(comment="When it was begun to be sent")
    ended_at: Mapped[datetime | None] = mapped_column(comment="When it was answered; NULL: no answer was seen")
    account_id: Mapped[UUID] = mapped_column(comment="With whose key")
    generation_id: Mapped[UUID | None] = mapped_column(comment="For which paid attempt; NULL: it is about the account")
    http_status: Mapped[int | None] = mapped_column(SmallInteger, comment="As answered; NULL: no answer, or not kept")
    send: Mapped[int | None] = mapped_column(SmallInteger, comment="Which copy of a paid request it was, from 1")
    is_late: Mapped[bool] = mapped_column(comment="Whether its answer came too late for anything to follow from it")
    kind: Mapped[str] = mapped_column(comment="create, get, upload, download, credits or models")
    outcome: Mapped[str] = mapped_column(comment="ok, or what kind of error it was")
    code: Mapped[str | None] = mapped_column(comment="The error's code, or the status that a generation had")
    message: Mapped[str | None] = mapped_column(comment="The provider's words, when it was not ok")
    request_id: Mapped[str | None] = mapped_column(comment="The provider's id of this request")
    provider_id: Mapped[str | None] = mapped_column(comment="The id that the provider answered with")
    size_bytes: Mapped[int | None] = mapped_column(comment="Of an image that was sent or fetched")
    recorded_at: Mapped[datetime] = mapped_column(comment="Its time, or right after the last seal if that is later")


class Result(Table):
    """Where an image came from, where it lies, and what it is."""

    __tablename__ = "result"
    __table_args__ = (
        Index("ix_result_odd", "job_id", postgresql_where=text("not_as_ordered <> '{}'::text[]")),
        Index("ix_result_recorded", "recorded_at", postgresql_using="brin"),
    )

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id"), primary_key=True, comment="Whose image it is")
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generation.id"), unique=True, comment="Who made it")
    source_url: Mapped[str] = mapped_column(comment="Where the provider had put it")
    path: Mapped[str] = mapped_column(unique=True, comment="Where it lies in the store")
    store_id: Mapped[UUID | None] = mapped_column(
        comment="Identity of the store that it was put into; NULL: stored before this was recorded"
    )
    sha256: Mapped[str] = mapped_column(comment="Hex digest of the bytes")
    size_bytes: Mapped[int] = mapped_column(comment="How many bytes")
    mime_type: Mapped[str] = mapped_column(comment="By signature")
    width: Mapped[int] = mapped_column(comment="Pixels")
    height: Mapped[int] = mapped_column(comment="Pixels")
    frames: Mapped[int] = mapped_column(server_default="1", comment="More than one: it is animated")
    not_as_ordered: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default=text("'{}'::text[]"), comment="Any of format, size and animated"
    )
    stored_at: Mapped[datetime] = mapped_column(comment="When it was in the store")
    recorded_at: Mapped[datetime] = mapped_column(comment="Its time, or right after the last seal if that is later")
