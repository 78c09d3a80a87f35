"""Accounts at the provider: limits, pauses, prices, and what is learned of the provider's speed and health."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Double, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of
from models.metadata import Table
from worker.core.rules.errors import PauseReason


class Account(Table):
    """One row per provider key; the dispatcher locks it, so that two dispatchers never give one slot twice."""

    __tablename__ = "account"
    __table_args__ = (
        one_of("pause_reason", PauseReason),
        CheckConstraint("rate > 0", name="rate_positive"),
        CheckConstraint("read_rate > 0", name="read_rate_positive"),
        CheckConstraint("(pause_reason IS NULL) = (paused_at IS NULL)", name="pause_complete"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    name: Mapped[str] = mapped_column(unique=True, comment="What people and settings call it")
    base_url: Mapped[str | None] = mapped_column(comment="The provider that it was last used with")
    key_mark: Mapped[str | None] = mapped_column(comment="Salt and scrypt hash of the key it was last used with")
    binding: Mapped[int] = mapped_column(
        server_default="1", comment="Goes up when it is used with another account at a provider"
    )
    bound_at: Mapped[datetime | None] = mapped_column(comment="When that last happened; NULL: never")
    rate: Mapped[float] = mapped_column(comment="Requests per second, learned or set")
    is_rate_learned: Mapped[bool] = mapped_column(comment="Whether the rate is found by trying")
    max_in_flight: Mapped[int] = mapped_column(comment="Generations that may be open at once")
    rate_setting: Mapped[str | None] = mapped_column(comment="DARKROOM_RATE when it was last applied")
    max_in_flight_setting: Mapped[int | None] = mapped_column(comment="DARKROOM_MAX_IN_FLIGHT when it was last applied")
    next_slot_at: Mapped[datetime] = mapped_column(comment="First request slot that is not given away")
    blocked_until: Mapped[datetime | None] = mapped_column(comment="No request before it: the provider said so")
    closed_at: Mapped[datetime | None] = mapped_column(
        comment="When a 429 closed the key, the first of a run; NULL: never"
    )
    throttled_at: Mapped[datetime | None] = mapped_column(comment="When a 429 last cut the rate")
    raised_at: Mapped[datetime] = mapped_column(
        comment="Since when every slot has been taken, as far as that was not looked at yet"
    )
    refused_rate: Mapped[float | None] = mapped_column(comment="Requests per second that were too many; NULL: unknown")
    saturation: Mapped[float] = mapped_column(
        server_default="0", comment="0: every request finds a slot, to 1: all wait for one"
    )
    class_times: Mapped[dict[str, float]] = mapped_column(comment="Virtual time per priority class")
    owner_times: Mapped[dict[str, Any]] = mapped_column(
        server_default=text("'{}'::jsonb"), comment="Virtual time per owner, per priority class"
    )
    read_class_times: Mapped[dict[str, float]] = mapped_column(
        server_default=text("'{}'::jsonb"), comment="Virtual time per priority class at the pace of reads"
    )
    read_rate: Mapped[float | None] = mapped_column(comment="Reads per second; NULL: they share the one pace")
    read_rate_setting: Mapped[str | None] = mapped_column(comment="DARKROOM_READ_RATE when it was last applied")
    read_next_slot_at: Mapped[datetime | None] = mapped_column(comment="First slot for a read that is not given away")
    wallet_left: Mapped[int | None] = mapped_column(comment="The last reading, less what was held since; NULL: unread")
    wallet_read_at: Mapped[datetime | None] = mapped_column(comment="When the wallet was last read")
    pause_reason: Mapped[str | None] = mapped_column(comment="Why no paid work is done; NULL: it is")
    pause_message: Mapped[str | None] = mapped_column(comment="The provider's words about it")
    paused_at: Mapped[datetime | None] = mapped_column(comment="Since when")
    probe_at: Mapped[datetime | None] = mapped_column(comment="When the next look at the account is due")
    collected_at: Mapped[datetime | None] = mapped_column(
        comment="When an image was last downloaded, to a minute; NULL: never"
    )
    store_id: Mapped[UUID | None] = mapped_column(comment="Identity of the store of its images; NULL: not used yet")
    store_place: Mapped[str | None] = mapped_column(comment="Where that store was when it was adopted")
    store_failed_at: Mapped[datetime | None] = mapped_column(comment="Since when the store has failed; NULL: it works")
    resumed_at: Mapped[datetime | None] = mapped_column(comment="When the last pause ended")
    pools: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default=text("'{}'::text[]"), comment="The pools that it belongs to, as its nodes say"
    )
    probes: Mapped[int] = mapped_column(
        server_default="0", comment="Looks since the pause began, or since the same one before it"
    )


class ModelPause(Table):
    """The last pause of a model at an account; a row whose ``paused_at`` is NULL remembers one that is over."""

    __tablename__ = "model_pause"
    __table_args__ = (CheckConstraint("(paused_at IS NULL) = (probe_at IS NULL)", name="probed_while_paused"),)

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, comment="At whose account")
    model: Mapped[str] = mapped_column(primary_key=True, comment="The provider's model id")
    status: Mapped[str] = mapped_column(comment="What the provider's list says: its api_status, or unlisted")
    message: Mapped[str] = mapped_column(comment="The provider's words when it refused the model")
    paused_at: Mapped[datetime | None] = mapped_column(comment="Since when; NULL: it is over")
    probe_at: Mapped[datetime | None] = mapped_column(comment="When the provider's list is read next")
    probes: Mapped[int] = mapped_column(server_default="0", comment="How often that was done in this pause")
    resumed_at: Mapped[datetime | None] = mapped_column(comment="When the last pause ended; NULL: none has")


class ModelPrice(Table):
    """The provider's own figure for one model and account; a model without a row has its list price."""

    __tablename__ = "model_price"
    __table_args__ = (CheckConstraint("reserved >= 0", name="reserved_not_negative"),)

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, comment="At whose account")
    model: Mapped[str] = mapped_column(primary_key=True, comment="The provider's model id")
    reserved: Mapped[int] = mapped_column(comment="Credits that it reserved when they last differed from the hold")
    seen_at: Mapped[datetime] = mapped_column(comment="When that was")


class ProviderHealth(Table):
    """One row per account, written only while its row of ``account`` is locked."""

    __tablename__ = "provider_health"
    __table_args__ = (
        CheckConstraint("usual BETWEEN 0 AND 1", name="usual_share"),
        CheckConstraint("score >= 0 AND failed >= 0 AND succeeded >= 0", name="evidence_counted"),
        CheckConstraint(
            "create_usual BETWEEN 0 AND 1 AND create_score >= 0 AND create_failed >= 0 AND create_succeeded >= 0",
            name="creates_counted",
        ),
        CheckConstraint("lost_creates >= 0 AND canaries_passed >= 0 AND given_back >= 0", name="counted"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, comment="At whose account")
    usual: Mapped[float] = mapped_column(comment="Share of prompts that fail while the provider is well")
    score: Mapped[float] = mapped_column(server_default="0", comment="Of the CUSUM; 0: nothing against the provider")
    began_at: Mapped[datetime | None] = mapped_column(
        comment="When the first failed generation was created; NULL: the score is zero"
    )
    failed: Mapped[int] = mapped_column(server_default="0", comment="Different prompts that failed since then")
    succeeded: Mapped[int] = mapped_column(server_default="0", comment="Generations that succeeded since then")
    lost_creates: Mapped[int] = mapped_column(
        server_default="0", comment="Creates without a usable answer since the last that was accepted"
    )
    canary_job_id: Mapped[UUID | None] = mapped_column(comment="The job that tries whether the provider works")
    canary_at: Mapped[datetime | None] = mapped_column(comment="When it was admitted")
    canaries_passed: Mapped[int] = mapped_column(server_default="0", comment="Canaries in a row that succeeded")
    given_back: Mapped[int] = mapped_column(server_default="0", comment="Attempts given back in this pause")
    proved_at: Mapped[datetime | None] = mapped_column(
        comment="When a generation last succeeded, to a minute; NULL: not since the last pause"
    )
    recovered_at: Mapped[datetime | None] = mapped_column(
        comment="When the last pause for failures ended; NULL: there was none"
    )
    create_usual: Mapped[float] = mapped_column(
        server_default="0.05", comment="Share of prompts whose creates are refused while the provider is well"
    )
    create_score: Mapped[float] = mapped_column(
        server_default="0", comment="Of the CUSUM over creates; 0: nothing against the provider"
    )
    create_began_at: Mapped[datetime | None] = mapped_column(
        comment="When the first create was refused; NULL: the score of creates is zero"
    )
    create_failed: Mapped[int] = mapped_column(
        server_default="0", comment="Different prompts whose creates were refused since then"
    )
    create_succeeded: Mapped[int] = mapped_column(server_default="0", comment="Creates that were accepted since then")


class FailedAttempt(Table):
    """A failed generation whose failure may turn out to be the provider's; gone when that is decided."""

    __tablename__ = "failed_attempt"
    __table_args__ = (
        CheckConstraint("octet_length(prompt_hash) = 32", name="hash_whole"),
        Index("ix_failed_attempt_account_id", "account_id"),
    )

    generation_id: Mapped[UUID] = mapped_column(
        ForeignKey("generation.id"), primary_key=True, comment="What the provider said has failed"
    )
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), comment="At whose account")
    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id"), comment="Whose attempt it was")
    prompt_hash: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 of the prompt in UTF-8")
    began_at: Mapped[datetime] = mapped_column(comment="began_at of the evidence that it belongs to")
    failed_at: Mapped[datetime] = mapped_column(comment="When the provider first said so")
    is_counted: Mapped[bool] = mapped_column(comment="Whether it counts as one of its job's failures for now")
    is_excused: Mapped[bool] = mapped_column(comment="Whether it was the provider's failure, and not its job's")


class PromptFailure(Table):
    """One row per prompt that has failed since it last succeeded; a success deletes it, so there are few."""

    __tablename__ = "prompt_failure"
    __table_args__ = (
        CheckConstraint("failures >= 1", name="failures_positive"),
        CheckConstraint("octet_length(prompt_hash) = 32", name="hash_whole"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, comment="At whose account")
    model: Mapped[str] = mapped_column(primary_key=True, comment="The provider's model id")
    prompt_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True, comment="SHA-256 of the prompt in UTF-8")
    failures: Mapped[int] = mapped_column(comment="Generations that failed since one succeeded")
    first_failed_at: Mapped[datetime] = mapped_column(comment="When the first of them ended")
    last_failed_at: Mapped[datetime] = mapped_column(comment="When the last of them ended")
    last_code: Mapped[str] = mapped_column(comment="The provider's code of the last one")


class Latency(Table):
    """Decayed counts by bucket; the buckets are those of ``worker.engine.rules.polling``."""

    __tablename__ = "latency"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, comment="At whose account")
    model: Mapped[str] = mapped_column(primary_key=True, comment="The provider's model id")
    has_reference: Mapped[bool] = mapped_column(primary_key=True, comment="Whether a reference image was given")
    counts: Mapped[list[float]] = mapped_column(ARRAY(Double), comment="Generations per bucket, the older the less")
    updated_at: Mapped[datetime] = mapped_column(comment="When it last learned")
