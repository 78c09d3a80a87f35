"""What can go wrong around the archive: a second run, a store that goes away, and files that were exchanged."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet as arrow_files
from sqlalchemy import Engine, text

from tests.archive.conftest import LATER, archive, broken, counts, files, reader, verified
from tests.audit.conftest import superuser
from tests.pipeline.node import Node
from worker.archive import choosing, parquet
from worker.archive.reading import GARBAGE, ArchiveDamaged
from worker.archive.rules.tables import Column
from worker.audit.evidence import printed
from worker.audit.reports import ReportQuery
from worker.audit.rules.reporting import Format, ReportName
from worker.core.db.session import Database
from worker.storage.store import StoreUnavailable, open_store

__all__ = ["superuser"]


def at_effect(number: int, act: Callable[[], object]) -> Callable[[str], None]:
    """Return a listener that acts once, at the effect of this number."""
    seen = iter(range(1_000))

    def listen(_: str) -> None:
        if next(seen) == number:
            act()

    return listen


def listen(node: Node, listener: Callable[[str], None]) -> None:
    node.services.database.listener = listener  # type: ignore[attr-defined]
    node.services.store.listener = listener  # type: ignore[attr-defined]


@pytest.mark.parametrize("effect", [0, 2, 4, 7, 8, 13, 23, 25, 27, 28, 29, 30, 33])
def test_a_second_run_at_the_same_time_archives_each_batch_once(effect: int, small: Node) -> None:
    """The other run does all of its work at one effect of this one."""
    totals = verified(small).totals
    other = Database(small.services.database.url.render_as_string(hide_password=False), connections=2)
    runs: list[Any] = []
    listen(
        small,
        at_effect(effect, lambda: runs.extend(choosing.run(other, open_store(small.folder), before=LATER))),
    )

    found = archive(small)

    listen(small, lambda _: None)
    other.close()
    assert [each.obstacle for each in (*found, *runs)] in ([None], [None, None])
    assert counts(small)["job"] == 0
    assert small.query("SELECT count(*) AS batches FROM archived_batch") == [{"batches": 1}]
    assert broken(small) == {}
    assert verified(small).totals == totals


def test_a_report_says_the_same_whenever_a_batch_is_archived_meanwhile(small: Node) -> None:
    asked = ReportQuery(report=ReportName.EXPORT, as_of=small.query("SELECT max(sealed_at) AS at FROM seal")[0]["at"])
    other = Database(small.services.database.url.render_as_string(hide_password=False), connections=2)

    def report() -> bytes:
        return printed(other, asked, Format.CSV, reader(small)).body

    before, meanwhile = report(), []
    listen(small, lambda _: meanwhile.append(report()))

    archive(small)

    listen(small, lambda _: None)
    after = report()
    other.close()
    assert len(meanwhile) > 10
    assert {before, after, *meanwhile} == {before}


@pytest.mark.parametrize("effect", [3, 7, 11])
def test_a_store_that_goes_away_stops_the_run_and_nothing_is_removed(effect: int, small: Node) -> None:
    away = small.folder.with_name("away")
    listen(small, at_effect(effect, lambda: small.folder.rename(away)))

    with pytest.raises(StoreUnavailable):
        archive(small)

    listen(small, lambda _: None)
    kept = counts(small)["job"]
    if small.folder.exists():
        small.folder.rmdir()
    away.rename(small.folder)
    archive(small)
    assert (kept, counts(small)["job"]) == (2, 0)
    assert broken(small) == {}


def exchange(superuser: Engine, node: Node, content: bytes, of: str) -> Path:
    """Put other bytes in the place of a table's file, and have the database believe that they were written."""
    [stored] = [each for each in files(node) if f"-{of}-" in each.path]
    stored.file.chmod(0o644)
    stored.file.write_bytes(content)
    with superuser.begin() as tx:
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        sha256 = hashlib.sha256(content).hexdigest()
        tx.execute(text("UPDATE archived_file SET sha256 = :sha256 WHERE name = :of"), {"sha256": sha256, "of": of})
    return stored.file


def as_parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    arrow_files.write_table(table, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def rewritten(node: Node, of: str, change: Callable[[list[str], list[Any]], None]) -> bytes:
    """Return the table's file with its rows changed."""
    [stored] = [each for each in files(node) if f"-{of}-" in each.path]
    columns, rows = parquet.decode(stored.file.read_bytes())
    changed = [list(row) for row in rows]
    for row in changed:
        change([each.name for each in columns], row)
    return parquet.encode(columns, iter(changed))


def empty(names: list[str], row: list[Any]) -> None:
    row[names.index("credits")] = None


GARBLED: dict[str, Callable[[Node], bytes]] = {
    "no Parquet": lambda _: b"PAR1 and nothing that follows PAR1",
    "nothing": lambda _: b"",
    "Parquet with other columns": lambda _: as_parquet(pa.table({"id": [1], "credits": [4]})),
    "a column that the table does not have": lambda _: parquet.encode(
        [Column(name="colour", type="text")], iter([["red"]])
    ),
    "no value where the table needs one": lambda node: rewritten(node, "credit_entry", empty),
}


@pytest.mark.parametrize("what", GARBLED)
def test_a_file_with_garbage_is_named_and_the_others_are_still_checked(
    what: str, small: Node, superuser: Engine
) -> None:
    archive(small)
    garbled = exchange(superuser, small, GARBLED[what](small), "credit_entry")

    found = broken(small)

    [fault] = found["archive_files"]
    assert (garbled.name in fault["file"], fault["what"]) == (True, GARBAGE)
    assert {"sealed_entries", "archive_rows"} <= found.keys()
    asked = ReportQuery(report=ReportName.EXPORT, as_of=small.query("SELECT max(sealed_at) AS at FROM seal")[0]["at"])
    with pytest.raises(ArchiveDamaged, match="restore it from a copy"):
        printed(small.services.database, asked, Format.CSV, reader(small))


def dearer(names: list[str], row: list[Any]) -> None:
    row[names.index("credits")] += 1


def other_prompt(names: list[str], row: list[Any]) -> None:
    row[names.index("prompt")] = "mine"


@pytest.mark.parametrize(
    ("of", "change", "named"),
    [("credit_entry", dearer, "sealed_entries"), ("job", other_prompt, "sealed_facts")],
)
def test_rows_that_were_exchanged_together_with_their_hash_are_named_by_the_seals(
    of: str, change: Callable[[list[str], list[Any]], None], named: str, small: Node, superuser: Engine
) -> None:
    archive(small)
    exchange(superuser, small, rewritten(small, of, change), of)

    assert named in broken(small)
