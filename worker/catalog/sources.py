"""Where items come from: a CSV or JSONL file, or a query to somebody else's database."""

from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

from worker.catalog.queries import sql_source
from worker.core.rules.fault import Fault
from worker.intake.manifest import Form, Row, read


def from_file(path: Path, *, form: Form | None, sku: str) -> Iterator[Row | Fault]:
    """Return the rows of a file; a CSV header must have the column of the SKU."""
    return read(path, form=form, required=sku)


def from_query(url: str, query: str) -> Iterator[Row | Fault]:
    """Yield the rows of a query, numbered from 1; raises SourceFailed when it is not answered."""
    for number, raw in enumerate(sql_source.rows(url, query), start=1):
        yield Row(line=number, raw={name: _plain(value) for name, value in raw.items()})


def _plain(value: object) -> object:
    """Return the value as JSON can hold it."""
    match value:
        case None | bool() | int() | float() | str() | list() | dict():
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case _:
            return str(value)
