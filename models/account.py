"""An account: one provider key with its pace, its window, and the reason why it is paused."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, text
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
    scarcity: Mapped[float] = mapped_column(
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
        comment="When an image was last brought home, to a minute; NULL: never"
    )
    store_id: Mapped[UUID | None] = mapped_column(comment="Identity of the store of its images; NULL: not used yet")
    store_place: Mapped[str | None] = mapped_column(comment="Where that store was when it was adopted")
    store_failed_at: Mapped[datetime | None] = mapped_column(comment="Since when the store has failed; NULL: it works")
    resumed_at: Mapped[datetime | None] = mapped_column(comment="When the last pause ended")
    probes: Mapped[int] = mapped_column(
        server_default="0", comment="Looks since the pause began, or since the same one before it"
    )
