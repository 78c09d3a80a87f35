"""A Chromium, where there is one; a run that must not do without it sets DARKROOM_TEST_REQUIRE_BROWSER=1."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.browser.chromium import Browser


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Yield the browser that these tests share."""
    path = chromium.found()
    if path is None and os.environ.get("DARKROOM_TEST_REQUIRE_BROWSER") == "1":
        pytest.fail("no Chromium here, and this run must have one: apt install chromium")
    if path is None:
        pytest.skip("no Chromium here: apt install chromium")
    with chromium.running(path, tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture
def browser(process: Browser, tmp_path: Path) -> Iterator[Browser]:
    """Yield a browser with an empty page."""
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    with process.page(downloads) as page:
        yield page
