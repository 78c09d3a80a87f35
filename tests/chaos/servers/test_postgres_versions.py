"""Each major version of Postgres: all migrations up and down, and a batch from end to end."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command

from tests.acceptance import books, manifests
from tests.acceptance import world as worlds
from tests.acceptance.world import World
from tests.conftest import quick_place
from tests.fixtures import databases, postgres_servers
from tests.fixtures.provider import Provider

pytestmark = pytest.mark.chaos

MAJORS = (14, 15, 16, 17, 18)
FOUND = {each.major: each for each in postgres_servers.installations()}


@pytest.fixture(params=MAJORS)
def versioned(
    request: pytest.FixtureRequest, broker_urls: dict[str, str], tmp_path: Path, sandbox: Provider
) -> Iterator[World]:
    """Yield a Darkroom on one version; one that is not here is a skip."""
    if request.param not in FOUND:
        pytest.skip(f"no Postgres {request.param} here: name its folder in {postgres_servers.GIVEN}")
    with postgres_servers.running(FOUND[request.param], place=quick_place(), fsync="off") as server:
        # Up to version 14 everybody may create in the schema public, which `darkroom audit verify` reports.
        server.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC", database=postgres_servers.DATABASE)
        config = databases.alembic_config(server.url())
        command.upgrade(config, "head")
        command.downgrade(config, "base")
        command.upgrade(config, "head")
        with worlds.opened(server.url(), broker_urls["embedded"], tmp_path, sandbox) as opened:
            yield opened


def test_a_batch_is_rendered_with_exact_books_on_each_version_of_postgres(versioned: World) -> None:
    versioned.node()
    versioned.submit(manifests.with_references(20, versioned.folder, references=2))
    versioned.wait_until_done()

    books.check(versioned)
