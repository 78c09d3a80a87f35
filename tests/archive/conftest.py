"""Books of two days of work, and a small node whose work has ended; both can be archived."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import node as nodes
from tests.pipeline.conftest import process, sandbox
from tests.pipeline.node import Clock, Node
from tests.reports.conftest import own_world
from worker.archive import choosing
from worker.archive.queries.candidates import Candidate
from worker.archive.reading import ArchiveReader
from worker.audit import sealing
from worker.audit.verify import Verification, verify

__all__ = ["own_world", "process", "sandbox"]

LATER = datetime(2100, 1, 1, tzinfo=UTC)
"""After all that a test does, by whichever clock."""


@pytest.fixture
def small(database_url: str, tmp_path: Path, sandbox: Provider) -> Iterator[Node]:
    """Yield a node that has made two images of one batch, and sealed them."""
    made = nodes.make(database_url, tmp_path, Clock(), base_url=sandbox.base_url, key=sandbox.key)
    made.submit({"key": "a", "prompt": "1"}, {"key": "b", "prompt": "2"}, name="pair", token="pair")
    made.run_until_quiet()
    seal(made)
    yield made
    made.services.client.close()
    made.services.database.close()


def seal(node: Node) -> None:
    """Bind all entries and facts so far."""
    sealing.close_books(node.services.database, node.clock())


def archive(node: Node) -> list[Candidate]:
    """Archive all that can be archived, and finish what a run before has left."""
    choosing.finish(node.services.database, node.services.store)
    return list(choosing.run(node.services.database, node.services.store, before=LATER))


def reader(node: Node) -> ArchiveReader:
    """Return what reads the node's store."""
    return ArchiveReader(lambda: node.services.store)


def verified(node: Node) -> Verification:
    """Check every rule of the books, with the archive."""
    with node.services.database.engine.connect() as tx:
        return verify(tx, archive=reader(node))


def broken(node: Node) -> dict[str, tuple[Any, ...]]:
    """Return the examples of each check that does not hold."""
    return {check.name: check.examples for check in verified(node).checks if not check.ok}


def counts(node: Node) -> dict[str, int]:
    """Count the rows of each table that is archived."""
    tables = ("job", "generation", "result", "credit_entry", "call", "generation_reading")
    return {table: node.query(f"SELECT count(*) AS rows FROM {table}")[0]["rows"] for table in tables}


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A file of the archive in the node's folder."""

    path: str
    file: Path


def files(node: Node) -> list[Stored]:
    """Return the files of the archive, those of entries first."""
    rows = node.query("SELECT path FROM archived_file ORDER BY name <> 'credit_entry', path")
    return [Stored(path=row["path"], file=node.folder / row["path"]) for row in rows]
