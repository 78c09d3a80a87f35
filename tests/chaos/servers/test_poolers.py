"""Three nodes behind PgBouncer: a batch is done and the books are exact in each of its modes."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance import books, manifests
from tests.acceptance import world as worlds
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.chaos import moments
from tests.fixtures import pgbouncer
from tests.fixtures.provider import Provider

pytestmark = pytest.mark.chaos

NODES, JOBS = 3, 90
THREADS = {"DARKROOM_CONCURRENCY": "6"}
LISTENING = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'listener'"


@pytest.fixture
def pooled(
    request: pytest.FixtureRequest, database_url: str, broker_urls: dict[str, str], tmp_path: Path, sandbox: Provider
) -> Iterator[World]:
    """Yield a Darkroom whose nodes reach the database through PgBouncer; the test itself goes directly."""
    pgbouncer.required()
    with (
        tempfile.TemporaryDirectory(prefix="darkroom-pgbouncer-") as folder,
        pgbouncer.before(database_url, mode=request.param, folder=Path(folder)) as url,
        worlds.opened(database_url, broker_urls["embedded"], tmp_path, sandbox) as opened,
    ):
        opened.environment = {"DARKROOM_DATABASE_URL": url, **THREADS}
        yield opened


def rendered_by_three_nodes(world: World) -> None:
    """Start three nodes, and render a batch under load."""
    world.provider.set(**moments.SLOW_ANSWERS)
    started = [world.begin_node() for _ in range(NODES)]
    for node in started:
        until(node.has_begun, "each node works")
    world.submit(manifests.with_references(JOBS, world.folder, references=4))
    world.wait_until_done_in_haste(timeout_s=90)


@pytest.mark.parametrize("pooled", ["session", "transaction"], indirect=True)
def test_three_nodes_behind_a_pooler_that_look_each_second_end_with_exact_books(pooled: World) -> None:
    rendered_by_three_nodes(pooled)

    books.check(pooled)


@pytest.mark.parametrize("pooled", ["transaction"], indirect=True)
def test_three_nodes_behind_a_pooler_listen_at_the_servers_own_url(pooled: World) -> None:
    direct = pooled.database.url.update_query_dict({"application_name": "listener"})
    pooled.environment["DARKROOM_DATABASE_DIRECT_URL"] = direct.render_as_string(hide_password=False)

    rendered_by_three_nodes(pooled)

    books.check(pooled)
    assert pooled.query(LISTENING)[0]["n"] == NODES
