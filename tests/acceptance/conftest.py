"""A Darkroom of real processes for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance import world as worlds
from tests.acceptance.world import World
from tests.fixtures.provider import Provider


@pytest.fixture
def world(database_url: str, broker_url: str, tmp_path: Path, sandbox: Provider) -> Iterator[World]:
    """Yield a Darkroom on each broker in turn."""
    with worlds.opened(database_url, broker_url, tmp_path, sandbox) as opened:
        yield opened
