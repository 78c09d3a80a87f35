"""A web process for each test, on a database of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.web.serving import Web, serving
from worker.settings import Settings
from worker.web import server
from worker.web.context import WebContext


@pytest.fixture
def context(database_url: str, tmp_path: Path) -> Iterator[WebContext]:
    """Yield what handlers work with."""
    settings = Settings.model_validate({}).model_copy(
        update={"database_url": SecretStr(database_url), "home": tmp_path, "store": str(tmp_path / "images")}
    )
    opened = server.context(settings)
    yield opened
    opened.database.close()


@pytest.fixture
def web(context: WebContext) -> Iterator[Web]:
    """Yield a server that runs."""
    with serving(context) as found:
        yield found
