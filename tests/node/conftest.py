"""A Darkroom with one worker for all tests of a module on one broker, and its first message older than any worker."""

from collections.abc import Iterator

import pytest

from tests.acceptance import world as worlds
from tests.acceptance.world import World
from tests.fixtures import brokers, databases, provider
from tests.node import document


@pytest.fixture(scope="module", params=["embedded", *(server.name for server in brokers.SERVERS)])
def broker(request: pytest.FixtureRequest, broker_urls: dict[str, str]) -> str:
    """Return each broker in turn; one that is not there is a skip."""
    if request.param not in broker_urls:
        pytest.skip(f"no {request.param} here")
    return broker_urls[request.param]


@pytest.fixture(scope="module")
def world(broker: str, postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield a Darkroom at work, to which the document's first message was sent before there was a worker."""
    folder = tmp_path_factory.mktemp("producers")
    with (
        provider.running() as sandbox,
        databases.clone(postgres, template) as database_url,
        worlds.opened(database_url, broker, folder, sandbox) as opened,
    ):
        assert document.run(opened, "celery").stderr == ""
        opened.node()
        yield opened


@pytest.fixture
def quiet_world(
    database_url: str, broker_urls: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Yield a Darkroom without a worker, for the interface that needs none."""
    folder = tmp_path_factory.mktemp("producers")
    with provider.running() as sandbox, worlds.opened(database_url, broker_urls["embedded"], folder, sandbox) as opened:
        yield opened
