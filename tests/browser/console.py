"""The console in a real browser: signing in, and what axe-core finds on a page."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.acceptance.waiting import until
from tests.browser.chromium import Browser
from tests.web.serving import Web
from worker.web import sessions

AXE = Path(__file__).with_name("vendor") / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def sign_in(browser: Browser, web: Web, *roles: str) -> None:
    """Sign a new user in by a link, as a person does."""
    with web.context.database.transaction() as tx:
        path = sessions.new_link(tx, web.by, web.user("-".join(roles) or "ann", *(roles or ("admin",))))
    browser.open(web.url + path)
    browser.click("main button")
    browser.event("Page.loadEventFired")


def look(browser: Browser, *, is_dark: bool = False, is_phone: bool = False) -> None:
    """Have pages drawn from now on as on a screen of this kind."""
    size: dict[str, Any] = {"width": 390, "height": 844} if is_phone else {"width": 1280, "height": 900}
    browser.call("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=is_phone)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
    browser.call("Emulation.setEmulatedMedia", features=[scheme, {"name": "prefers-reduced-motion", "value": "reduce"}])


def barriers(browser: Browser) -> list[str]:
    """Return what axe-core finds on the page against WCAG 2.2, levels A and AA."""
    browser.value(AXE.read_text(encoding="utf-8") + "; undefined")
    asked = json.dumps({"runOnly": {"type": "tag", "values": RULES}})
    found = browser.value(f"axe.run(document, {asked}).then((found) => JSON.stringify(found.violations))")
    return [f"{each['id']}: {node['html'][:200]}" for each in json.loads(found) for node in each["nodes"]]


def wait(browser: Browser, expression: str, what: str) -> None:
    """Wait until an expression is true in the page."""
    is_so: Callable[[], bool] = lambda: bool(browser.value(expression))  # noqa: E731 - one expression
    until(is_so, what)
