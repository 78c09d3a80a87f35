"""Rows of another system's database: read-only, a few at a time, whatever their number."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from worker.core.rules.errors import DarkroomError

_AT_ONCE = 1_000


class SourceFailed(DarkroomError):
    """The query failed; the message leaves out the URL, which may hold a password."""

    error_code = "source_failed"
    exit_code = 2

    def __init__(self, reason: str) -> None:
        """Keep the reason, which is a sentence."""
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        """Return the message."""
        return self.reason


def rows(url: str, query: str) -> Iterator[dict[str, Any]]:
    """Yield each row of the query by column name; nothing that the query does is ever committed."""
    address = _address(url)
    try:
        engine = create_engine(address)
    except (NoSuchModuleError, ImportError) as error:
        raise SourceFailed(
            f"there is no driver here for a database of the kind {address.drivername!r}: use postgresql:// or sqlite://"
        ) from error
    try:
        with engine.connect() as connection:
            options: dict[str, Any] = {"stream_results": True, "yield_per": _AT_ONCE}
            if address.get_backend_name() == "postgresql":
                connection = connection.execution_options(postgresql_readonly=True)  # noqa: PLW2901
            with connection.begin() as transaction:
                result = connection.execution_options(**options).exec_driver_sql(query)
                yield from (dict(row) for row in result.mappings())
                transaction.rollback()
    except SQLAlchemyError as error:
        raise SourceFailed(f"the query was not answered: {_said(error)}") from error
    finally:
        engine.dispose()


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise SourceFailed(
            "the database URL cannot be read: it has the form postgresql://user@host/name or sqlite:///file"
        ) from error
    is_plain = address.drivername in {"postgres", "postgresql"}
    return address.set(drivername="postgresql+psycopg") if is_plain else address


def _said(error: SQLAlchemyError) -> str:
    text = str(getattr(error, "orig", None) or error).strip()
    return (text.splitlines() or [type(error).__name__])[0]
