"""The primary is lost in mid-run, its synchronous standby is promoted, and work goes on there by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command

from tests.acceptance import books, manifests
from tests.acceptance import world as worlds
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.chaos import moments
from tests.conftest import quick_place
from tests.fixtures import databases, postgres_servers
from tests.fixtures.postgres_servers import Server
from tests.fixtures.provider import Provider

pytestmark = pytest.mark.chaos

QUICK = {"DARKROOM_DATABASE_TIMEOUT": "5"}
TAKEN_OVER_S = 90.0
COMMITTED = "SELECT id FROM generation"


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    """Yield a primary with Darkroom's tables and its synchronous standby."""
    found = [each for each in postgres_servers.installations() if each.has("pg_basebackup")]
    settings = {"fsync": "off", "max_connections": 150}
    with postgres_servers.running(found[-1], place=quick_place(), **settings) as primary:
        command.upgrade(databases.alembic_config(primary.url()), "head")
        with postgres_servers.standby(primary, place=quick_place(), settings=settings) as standby:
            yield primary, standby


@pytest.fixture
def replicated(
    servers: tuple[Server, Server], broker_urls: dict[str, str], tmp_path: Path, sandbox: Provider
) -> Iterator[World]:
    """Yield a Darkroom whose URL names both servers, the standby first."""
    primary, standby = servers
    login, _, place = primary.url().partition("@")
    url = f"{login}@{standby.host}:{standby.port},{place}?target_session_attrs=read-write"
    with worlds.opened(url, broker_urls["embedded"], tmp_path, sandbox) as opened:
        opened.environment = QUICK
        yield opened


def test_a_standby_that_is_promoted_under_load_has_every_commit_and_nothing_is_paid_twice(
    replicated: World, servers: tuple[Server, Server]
) -> None:
    primary, standby = servers
    replicated.provider.set(**moments.SLOW_ANSWERS)
    first, second = replicated.begin_node(), replicated.node()
    until(first.has_begun, "the other node works, too")
    replicated.submit(manifests.plain(moments.JOBS))
    moments.in_mid_run(replicated)
    committed = {row["id"] for row in replicated.query(COMMITTED)}

    primary.kill()
    standby.run("pg_ctl", "promote", "-w", "-D", standby.data)
    replicated.provider.set(**moments.PROMPT_ANSWERS)
    replicated.database.engine.dispose()
    kept = {row["id"] for row in replicated.query(COMMITTED)}
    replicated.wait_until_done_in_haste(timeout_s=TAKEN_OVER_S)

    assert committed <= kept
    assert (first.is_running(), second.is_running()) == (True, True)
    assert len(replicated.provider.tasks()) == replicated.count("generation", "provider_id IS NOT NULL")
    books.check(replicated)
