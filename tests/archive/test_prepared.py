"""Connections that live longer than a read of the archive, as those of `darkroom web` do."""

from tests.archive.conftest import archive, reader
from tests.pipeline.node import Node
from worker.batches.queries import results
from worker.core.db.session import Database


def test_a_statement_that_was_prepared_for_the_tables_finds_archived_rows(small: Node) -> None:
    """A server keeps which table a prepared statement reads, and does not look for views that have come since."""
    [old] = small.query("SELECT id FROM batch")
    job = small.query("SELECT id FROM job ORDER BY id")[0]["id"]
    archive(small)
    web = Database(small.services.database.url.render_as_string(hide_password=False), connections=1)
    with web.transaction() as tx:
        reader(small).load(tx, [old["id"]])
    with web.transaction() as tx:
        for _ in range(8):
            assert results.of_jobs(tx, [job]) == {}

    with web.transaction() as tx:
        reader(small).load(tx, [old["id"]])
        found = results.of_jobs(tx, [job])
    with web.transaction() as tx:
        left = results.of_jobs(tx, [job])

    web.close()
    assert (found[job].spent, left) == (4, {})
