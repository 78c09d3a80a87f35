"""Reports and archived rows through PgBouncer in transaction mode."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archive.conftest import archive, reader
from tests.fixtures import pgbouncer
from tests.pipeline.node import Node
from worker.audit.evidence import printed
from worker.audit.reports import ReportQuery
from worker.audit.rules.reporting import Format, ReportName
from worker.audit.verify import verify
from worker.batches.queries import results
from worker.core.db.session import Database


@pytest.fixture
def pooled(small: Node) -> Iterator[Database]:
    """Yield the node's database behind PgBouncer."""
    pgbouncer.required()
    url = small.services.database.url.render_as_string(hide_password=False)
    with (
        tempfile.TemporaryDirectory(prefix="darkroom-pgbouncer-") as folder,
        pgbouncer.before(url, mode="transaction", folder=Path(folder)) as address,
    ):
        database = Database(address, connections=2)
        yield database
        database.close()


def test_behind_a_pooler_reports_proofs_and_results_read_the_archive(small: Node, pooled: Database) -> None:
    """What a pooler needs to be told in each transaction comes after its isolation level is set."""
    [batch] = small.query("SELECT id FROM batch")
    as_of = small.query("SELECT max(sealed_at) AS at FROM seal")[0]["at"]
    asked = ReportQuery(report=ReportName.SPEND, as_of=as_of)
    before = printed(small.services.database, asked, Format.CSV).body

    def read() -> bytes:
        return printed(pooled, asked, Format.CSV, reader(small)).body

    live = read()
    archive(small)

    archived = read()
    with pooled.transaction(is_snapshot=True) as tx:
        checked = verify(tx, archive=reader(small))

    assert live == archived == before
    assert checked.ok
    assert [each.spent for each in results.outcomes(pooled, batch["id"], reader(small))] == [4, 4]
