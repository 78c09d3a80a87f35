"""Who may use the web process, and the events that it has numbered for its streams."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of
from models.metadata import Table
from worker.core.rules.batch_request import Priority

_OF_USER = "Whose it is"


class AppUser(Table):
    """One person, or one service, that may sign in or has tokens."""

    __tablename__ = "app_user"
    __table_args__ = (CheckConstraint("name <> ''", name="named"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(
        unique=True, comment="How it signs in: the name or address that the identity provider or the proxy gives"
    )
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="viewer, reviewer, operator, finance, admin")
    created_at: Mapped[datetime] = mapped_column()
    disabled_at: Mapped[datetime | None] = mapped_column(comment="Since when it may do nothing; NULL: it may")


class SignInLink(Table):
    """A link that signs a user in once."""

    __tablename__ = "sign_in_link"

    digest: Mapped[bytes] = mapped_column(primary_key=True, comment="SHA-256 of the secret in the link")
    user_id: Mapped[UUID] = mapped_column(ForeignKey("app_user.id"), comment=_OF_USER)
    created_at: Mapped[datetime] = mapped_column()
    expires_at: Mapped[datetime] = mapped_column()
    used_at: Mapped[datetime | None] = mapped_column(comment="When it signed the user in; NULL: not yet")


class WebSession(Table):
    """A browser that is signed in."""

    __tablename__ = "web_session"

    digest: Mapped[bytes] = mapped_column(primary_key=True, comment="SHA-256 of the cookie")
    user_id: Mapped[UUID] = mapped_column(ForeignKey("app_user.id"), comment=_OF_USER)
    source: Mapped[str] = mapped_column(comment="How it was signed in: link, oidc")
    created_at: Mapped[datetime] = mapped_column()
    seen_at: Mapped[datetime] = mapped_column(comment="When it was last used, to a minute")
    expires_at: Mapped[datetime] = mapped_column()


class ApiToken(Table):
    """A secret with which a program uses the HTTP API for its owner."""

    __tablename__ = "api_token"
    __table_args__ = (
        CheckConstraint("name <> ''", name="named"),
        CheckConstraint("credit_cap >= 0", name="cap_positive"),
        one_of("max_priority", Priority),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True, comment="What it is called in the log of changes: token:NAME")
    user_id: Mapped[UUID] = mapped_column(ForeignKey("app_user.id"), comment="For whom it acts")
    prefix: Mapped[str] = mapped_column(comment="Its first characters, by which people tell tokens apart")
    digest: Mapped[bytes] = mapped_column(unique=True, comment="SHA-256 of the whole token")
    rights: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="No more than its user has")
    owner: Mapped[str | None] = mapped_column(comment="The owner of its batches; NULL: it acts for all owners")
    max_priority: Mapped[str | None] = mapped_column(comment="The highest that it may ask for; NULL: any")
    credit_cap: Mapped[int | None] = mapped_column(comment="Most credits that one of its batches may commit")
    created_at: Mapped[datetime] = mapped_column()
    created_by: Mapped[str] = mapped_column()
    expires_at: Mapped[datetime | None] = mapped_column(comment="NULL: never")
    used_at: Mapped[datetime | None] = mapped_column(comment="When it was last used, to a minute; NULL: never")
    revoked_at: Mapped[datetime | None] = mapped_column(comment="Since when it is worth nothing; NULL: it is valid")


class FeedEvent(Table):
    """The end of a job or of a batch with the number under which streams of events give it; copied from ``job``.

    No foreign keys: they would lock the rows of jobs and batches for what only reads them.
    """

    __tablename__ = "feed_event"
    __table_args__ = (
        Index("ix_feed_event_batch", "batch_id", "number"),
        Index("uq_feed_event_job", "job_id", "ended_at", unique=True, postgresql_where=text("job_id IS NOT NULL")),
        Index("uq_feed_event_whole", "batch_id", "ended_at", unique=True, postgresql_where=text("job_id IS NULL")),
    )

    number: Mapped[int] = mapped_column(
        BigInteger, Identity(), primary_key=True, comment="In the order in which it was committed"
    )
    batch_id: Mapped[UUID] = mapped_column(comment="Of which batch")
    job_id: Mapped[UUID | None] = mapped_column(comment="The job that ended; NULL: the batch as a whole")
    ended_at: Mapped[datetime] = mapped_column(comment="When it ended; a job that is retried ends again")
    numbered_at: Mapped[datetime] = mapped_column(comment="When it was given its number")
