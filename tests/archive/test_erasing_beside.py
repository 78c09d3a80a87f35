"""What is in the tables can be erased although other batches of its sealed periods are archived."""

from pathlib import Path

from tests.archive.conftest import LATER, broken, counts, seal
from tests.fixtures.provider import Provider
from tests.pipeline import node as nodes
from tests.pipeline.node import Clock
from worker.archive import choosing
from worker.audit import erasing
from worker.audit.queries.erasures import Target


def test_a_batch_in_the_tables_is_erased_beside_an_archived_one_of_the_same_period(
    database_url: str, tmp_path: Path, sandbox: Provider
) -> None:
    node = nodes.make(database_url, tmp_path, Clock(), base_url=sandbox.base_url, key=sandbox.key)
    node.submit({"key": "old", "prompt": "1"}, name="old")
    node.submit({"key": "new", "prompt": "2"}, name="new")
    node.run_until_quiet()
    seal(node)
    list(choosing.run(node.services.database, node.services.store, before=LATER, limit=1))
    live = node.query("SELECT batch_id FROM job")[0]["batch_id"]

    done = erasing.erase(
        node.services.database,
        node.services.store,
        Target(subject=f"batch:{live}", batch_id=live),
        node.author("request 12"),
        approve_above=None,
    )

    assert [each.jobs for each in done.erasures] == [1]
    assert counts(node)["job"] == 1
    assert broken(node) == {}
    node.services.client.close()
    node.services.database.close()
