"""Rows as Parquet: exact, compressed with zstd, with the type of each column in Postgres as metadata."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from uuid import UUID

from worker.archive.rules.tables import Column
from worker.core.rules.errors import DarkroomError

_TYPE = b"postgres"


class ArchiveExtraMissing(DarkroomError):
    """The library that reads and writes Parquet is not installed."""

    error_code = "archive_extra_missing"

    def __str__(self) -> str:
        """Return what is missing, with the next step."""
        return (
            "the archive needs pyarrow, which is not installed: pip install 'darkroom[archive]', or run the image that"
            " `docker build --target archive` makes"
        )


class UnknownType(DarkroomError):
    """A column is of a type that no file holds yet."""

    error_code = "archive_type_unknown"

    def __init__(self, column: str, type_: str) -> None:
        """Keep both."""
        super().__init__(column, type_)
        self.column, self.type = column, type_

    def __str__(self) -> str:
        """Return the message."""
        return f"the column {self.column} is of the type {self.type}, which the archive does not know: upgrade Darkroom"


class NotParquet(Exception):
    """The bytes are no file that was written here."""


@dataclass(frozen=True, kw_only=True)
class Only:
    """Rows that have one of these values in a column; values as the file has them, ids as their 16 bytes."""

    column: str
    values: Collection[bytes | str]


def require() -> None:
    """Raise ArchiveExtraMissing where no file could be written or read."""
    _arrow()


def _arrow() -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra; importing it takes longer than most commands
    except ImportError:
        raise ArchiveExtraMissing from None
    return pa


def encode(names: Sequence[Column], rows: Iterator[Sequence[Any]]) -> bytes:
    """Return the file of these rows."""
    arrow = _arrow()
    import pyarrow.parquet as files  # noqa: PLC0415 - as above

    fields = [arrow.field(each.name, _type(arrow, each), metadata={_TYPE: each.type.encode()}) for each in names]
    values: list[list[Any]] = [[] for _ in names]
    for row in rows:
        for at, value in enumerate(row):
            values[at].append(value.bytes if isinstance(value, UUID) else value)
    arrays = [arrow.array(each, field.type) for each, field in zip(values, fields, strict=True)]
    table = arrow.Table.from_arrays(arrays, schema=arrow.schema(fields))
    buffer = BytesIO()
    files.write_table(table, buffer, compression="zstd", version="2.6", coerce_timestamps=None)
    return buffer.getvalue()


def decode(content: bytes, only: Only | None = None) -> tuple[tuple[Column, ...], Iterator[Sequence[Any]]]:
    """Return the columns of a file, and its rows, or ``only`` some of them; both raise NotParquet."""
    arrow = _arrow()
    import pyarrow.parquet as files  # noqa: PLC0415 - as above

    try:
        file = files.ParquetFile(arrow.BufferReader(content))
        names = tuple(Column(name=each.name, type=each.metadata[_TYPE].decode()) for each in file.schema_arrow)
    except (arrow.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise NotParquet(str(error)) from error
    return names, _rows(arrow, file, names, only)


def _rows(arrow: Any, file: Any, names: Sequence[Column], only: Only | None) -> Iterator[Sequence[Any]]:
    ids = [at for at, each in enumerate(names) if each.type == "uuid"]
    try:
        for batch in file.iter_batches():
            chosen = batch if only is None else _chosen(arrow, batch, only)
            for row in zip(*(column.to_pylist() for column in chosen.columns), strict=True):
                values = list(row)
                for at in ids:
                    values[at] = None if values[at] is None else UUID(bytes=values[at])
                yield values
    except (arrow.ArrowException, OSError, KeyError, ValueError) as error:
        raise NotParquet(str(error)) from error


def _chosen(arrow: Any, batch: Any, only: Only) -> Any:
    from pyarrow import compute  # noqa: PLC0415 - as above

    column = batch.column(only.column)
    return batch.filter(compute.is_in(column, value_set=arrow.array(list(only.values), column.type)))


def _type(arrow: Any, column: Column) -> Any:
    known = {
        "bigint": arrow.int64(),
        "integer": arrow.int32(),
        "smallint": arrow.int16(),
        "boolean": arrow.bool_(),
        "double precision": arrow.float64(),
        "text": arrow.string(),
        "jsonb": arrow.string(),
        "text[]": arrow.list_(arrow.string()),
        "uuid": arrow.binary(16),
        "bytea": arrow.binary(),
        "timestamp with time zone": arrow.timestamp("us", tz="UTC"),
    }
    if column.type not in known:
        raise UnknownType(column.name, column.type)
    return known[column.type]
