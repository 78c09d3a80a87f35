"""What an image leaves: bytes per table and per index, the WAL that wrote them, and in Parquet once it is archived."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from ops.bench import ground, node
from ops.bench.findings import Finding
from ops.bench.ground import Ground
from ops.bench.node import Darkroom
from worker.archive import choosing
from worker.audit import sealing
from worker.core.db.session import Database
from worker.storage.store import open_store

IMAGES, QUICK_IMAGES = 10_000, 1_000
FIRST = 500
"""Images before the measured ones, so that what grows with the window and not with images is there already."""
REPORTED_BYTES = 5.0
"""A table or an index with less per image is summed up with others."""

SIZES = """
    SELECT t.relname AS of_table, c.relname AS name, c.relkind = 'i' AS is_index,
           pg_relation_size(c.oid, 'main')
               + CASE WHEN c.reltoastrelid <> 0 THEN pg_total_relation_size(c.reltoastrelid) ELSE 0 END AS bytes
    FROM pg_class c
    LEFT JOIN pg_index i ON i.indexrelid = c.oid
    JOIN pg_class t ON t.oid = coalesce(i.indrelid, c.oid)
    WHERE c.relkind IN ('r', 'i') AND c.relnamespace = 'public'::regnamespace
"""
_PARQUET = """
    SELECT f.name, (sum(f.size_bytes) / max(j.jobs))::float AS bytes
    FROM archived_file f, (SELECT sum(value::bigint) AS jobs FROM archived_batch a, jsonb_each_text(a.jobs)) j
    GROUP BY f.name"""


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Render images with one node, then measure what has grown."""
    images = QUICK_IMAGES if is_quick else IMAGES
    with (
        ground.sandbox(latency_median_s=0) as provider,
        node.darkroom(place, provider, name="storage", broker=7) as room,
    ):
        _render(room, FIRST)
        before, wal_before = _sizes(room.database), _wal(room.database)
        _render(room, images)
        after, wal_after = _sizes(room.database), _wal(room.database)
        parquet = _archived(room)
    grown = {name: (after[name] - before.get(name, 0)) / images for name in after}
    return _finding(images, grown, (wal_after - wal_before) / images, parquet)


def _render(room: Darkroom, images: int) -> None:
    room.submit(images, name=f"{images} images")
    with room.node():
        room.wait(timeout_s=60 + images / 5)
    _vacuum(room.database)


def _archived(room: Darkroom) -> Mapping[str, float]:
    """Archive all batches; gives the bytes of Parquet that an image takes, by table."""
    sealing.close_books(room.database, datetime.now(UTC))
    found = list(choosing.run(room.database, open_store(room.environment["DARKROOM_STORE"]), before=_LATER))
    kept = {each.name: str(each.obstacle) for each in found if each.obstacle is not None}
    if kept:
        raise RuntimeError(f"not archived: {kept}")
    with room.database.transaction() as tx:
        rows: Any = tx.execute(text(_PARQUET))
        return {row.name: row.bytes for row in rows}


_LATER = datetime(2100, 1, 1, tzinfo=UTC)


def _finding(
    images: int, grown: Mapping[tuple[str, str, bool], float], wal: float, parquet: Mapping[str, float]
) -> Finding:
    by_size = sorted(grown.items(), key=lambda item: -item[1])
    shown = [(key, size) for key, size in by_size if size >= REPORTED_BYTES]
    tables = sum(size for (_, _, is_index), size in grown.items() if not is_index)
    indexes = sum(size for (_, _, is_index), size in grown.items() if is_index)
    rest = tables + indexes - sum(size for _, size in shown)
    rows = [(of_table, name if is_index else "rows", f"{size:,.0f}") for (of_table, name, is_index), size in shown]
    return Finding(
        name="storage",
        title="Bytes that an image leaves",
        method=(
            f"{images:,} images without references, one attempt each, rendered by one node after {FIRST} others; sizes"
            " after VACUUM, less those before, divided by the images. A table's rows include what is stored out of"
            " line. WAL is all that the server wrote meanwhile, with its vacuum and full pages. Parquet is what"
            " `darkroom archive` wrote of all of them afterwards, by which the tables' bytes become free."
        ),
        columns=("table", "what", "bytes per image"),
        rows=[
            *rows,
            ("others", "", f"{rest:,.0f}"),
            ("**all tables**", "", f"{tables:,.0f}"),
            ("**all indexes**", "", f"{indexes:,.0f}"),
            ("**WAL**", "", f"{wal:,.0f}"),
            *((table, "archived, in Parquet", f"{size:,.0f}") for table, size in sorted(parquet.items())),
            ("**all archived, in Parquet**", "", f"{sum(parquet.values()):,.0f}"),
        ],
        figures={
            "images": images,
            "tables": tables,
            "indexes": indexes,
            "wal": wal,
            "by_name": {name: size for (_, name, _), size in by_size},
            "parquet": dict(parquet),
        },
    )


def _sizes(database: Database) -> dict[tuple[str, str, bool], int]:
    with database.transaction() as tx:
        rows: Any = tx.execute(text(SIZES))
        return {(row.of_table, row.name, row.is_index): row.bytes for row in rows}


def _wal(database: Database) -> int:
    with database.transaction() as tx:
        return int(tx.execute(text("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")).scalar_one())


def _vacuum(database: Database) -> None:
    """Free what dead rows take, as autovacuum does in time."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE)"))
