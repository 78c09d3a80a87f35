"""A Darkroom to be broken: on each broker in turn, on the embedded one, or on services that are this test's own."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance import world as worlds
from tests.acceptance.conftest import world
from tests.acceptance.world import World
from tests.fixtures import databases
from tests.fixtures.provider import Provider
from worker.local import services
from worker.local.services import Services

__all__ = ["world"]

ANY_BROKER = "embedded"


@pytest.fixture
def local_world(database_url: str, broker_urls: dict[str, str], tmp_path: Path, sandbox: Provider) -> Iterator[World]:
    """Yield a Darkroom on the embedded broker, for what does not depend on the broker."""
    with worlds.opened(database_url, broker_urls[ANY_BROKER], tmp_path, sandbox) as opened:
        yield opened


@dataclass(frozen=True, kw_only=True)
class OwnServices:
    """A Darkroom whose Postgres and Valkey may be killed."""

    world: World
    running: Services

    def start(self) -> Services:
        """Start again what does not run."""
        return services.start(self.running.home)


@pytest.fixture
def own_services(tmp_path: Path, sandbox: Provider) -> Iterator[OwnServices]:
    """Yield a Darkroom on services that no other test uses."""
    home = Path(tempfile.mkdtemp(prefix="darkroom-chaos-"))
    home.chmod(0o755)
    try:
        # With its commits on the disk, as everywhere but in tests: without, a killed server forgets the last of them.
        running = services.start(home)
        with (
            databases.migrated(running.database_url) as template,
            databases.clone(running.database_url, template) as database_url,
            worlds.opened(database_url, running.broker_url, tmp_path, sandbox) as opened,
        ):
            yield OwnServices(world=opened, running=running)
    finally:
        services.erase(home)
