"""Rows as Parquet: exact, compressed with zstd, with the type of each column in Postgres as metadata."""

from collections.abc import Iterator, Sequence
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
        return "the archive needs pyarrow, which is not installed: pip install 'darkroom[archive]'"


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


def decode(content: bytes) -> tuple[tuple[Column, ...], Iterator[Sequence[Any]]]:
    """Return the columns of a file, and its rows."""
    arrow = _arrow()
    import pyarrow.parquet as files  # noqa: PLC0415 - as above

    file = files.ParquetFile(arrow.BufferReader(content))
    names = tuple(Column(name=each.name, type=each.metadata[_TYPE].decode()) for each in file.schema_arrow)
    return names, _rows(file, names)


def _rows(file: Any, names: Sequence[Column]) -> Iterator[Sequence[Any]]:
    ids = [at for at, each in enumerate(names) if each.type == "uuid"]
    for batch in file.iter_batches():
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            values = list(row)
            for at in ids:
                values[at] = None if values[at] is None else UUID(bytes=values[at])
            yield values


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
