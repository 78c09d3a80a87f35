"""Images that were rejected before rejections were kept have one all the same, and can be taken back."""

from alembic import command

from tests.catalog.conftest import clock, folder, node, node_for, process, reviewing, sandbox
from tests.catalog.team import Team, reject
from tests.fixtures.databases import alembic_config

__all__ = ["clock", "folder", "node", "node_for", "process", "reviewing", "sandbox"]


def test_a_rejection_of_before_is_carried_over_with_who_and_when(reviewing: Team, database_url: str) -> None:
    reviewing.stock({"a": "red"})
    reviewing.refresh()
    image = reviewing.candidates()["a"]
    reviewing.decide(reject(image))
    query = "SELECT render_id, at, said_at, actor, reason FROM catalog_rejection"
    before = reviewing.node.query(query)

    command.downgrade(alembic_config(database_url), "0040")
    command.upgrade(alembic_config(database_url), "head")

    assert [row["render_id"] for row in before] == [image.render_id]
    assert reviewing.node.query(query) == before
