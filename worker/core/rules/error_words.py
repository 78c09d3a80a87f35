"""The words of an error, short enough for a line of the log or a column of a table."""

MOST = 300
"""Characters that are kept."""


def first_line(error: object) -> str:
    """Return the first line of the error's words, or its type where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def with_type(error: BaseException) -> str:
    """Return the type and the first line of the error's words, cut to what is kept."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:MOST]
