"""The offline sheet and the console in a real browser: downloaded, decided without the server, and uploaded."""

import zipfile
from pathlib import Path

from tests.browser import console
from tests.browser.chromium import Browser
from tests.browser.test_review import begin, clock, folder, images, node, node_for, provider, sandbox, team, web
from tests.catalog.team import Team
from tests.web.serving import Web

__all__ = ["clock", "folder", "images", "node", "node_for", "provider", "sandbox", "team", "web"]


def test_a_sheet_is_downloaded_decided_offline_and_its_file_is_applied_on_the_page_of_the_review(
    browser: Browser, web: Web, team: Team, tmp_path: Path
) -> None:
    begin(browser, web, "reviewer")
    browser.click("[data-dialog='#sheet']")
    assert console.barriers(browser) == []
    browser.click("#sheet a[download]")
    with zipfile.ZipFile(browser.downloaded()) as archive:
        archive.extractall(tmp_path)
    browser.open((tmp_path / "mugs-review" / "mugs-review.html").as_uri())
    browser.press("a", "r", "a", "s")
    file = browser.downloaded()

    begin(browser, web, "admin")
    browser.click("[data-dialog='#sheet']")
    browser.choose("#sheet [name=files]", file)
    browser.click("#sheet button.main")
    browser.event("Page.loadEventFired")

    assert "2 images went live, 1 image was rejected." in browser.value("document.body.innerText")
    assert sum("oak" in prompt for prompt in team.live().values()) == 2
    assert browser.complaints() == []
