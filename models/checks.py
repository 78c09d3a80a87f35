"""How a closed set of words is held by the database."""

from enum import StrEnum

from sqlalchemy import CheckConstraint


def traceparent() -> CheckConstraint:
    """Permit only the form of version 00 of W3C Trace Context (or NULL)."""
    return CheckConstraint("traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'", name="traceparent_known")


def one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    """Permit only the values of the enum (or NULL, where the column permits it)."""
    values = ", ".join(f"'{word.value}'" for word in words)
    return CheckConstraint(f"{column} IN ({values})", name=f"{column}_known")
