"""The pictures of docs/console.md: `DARKROOM_TEST_PICTURES=docs/images pytest tests/browser/test_pictures.py`."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest
from PIL import Image
from pydantic import SecretStr
from sqlalchemy import text

from tests.browser import console
from tests.browser.chromium import Browser
from tests.browser.test_console_work import written
from tests.catalog.team import Team
from tests.fixtures.provider import Provider
from tests.pipeline.conftest import folder, node, node_for
from tests.pipeline.conftest import process as provider
from tests.pipeline.node import Clock, Node
from tests.web.console import catalog
from tests.web.console.batches.test_operations import ordered
from tests.web.console.money.test_in_doubt import doubted
from tests.web.console.pages import signed_in
from tests.web.serving import Web
from worker.node.queries import nodes
from worker.node.queries.nodes import Beat

__all__ = ["folder", "node", "node_for", "provider"]

TO = os.environ.get("DARKROOM_TEST_PICTURES", "")
KINDS = {"light": (False, False), "dark": (True, False), "phone": (False, True)}
DAYS, RATE = 20, 3.0
NODE = UUID("01a226fb-54b2-7744-9e6d-edb8c238260d")
_accounts = count()

pytestmark = pytest.mark.skipif(not TO, reason="DARKROOM_TEST_PICTURES names no folder for pictures")


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands some weeks ago, so that there is something to draw by the day."""
    return Clock(now=datetime.now(UTC) - timedelta(days=DAYS))


@pytest.fixture
def sandbox(provider: Provider) -> Provider:
    provider.reset()
    provider.set(plain_images=False)
    return provider.sibling(f"acct_pictures_{next(_accounts)}")


def render(node: Node, name: str, prompts: list[str], **batch: object) -> str:
    """Render a batch to its end."""
    first = name.partition(" ")[0].lower()
    rows = [{"prompt": each, "key": f"{first}-{at:03}"} for at, each in enumerate(prompts, start=1)]
    receipt = node.submit(*rows, name=name, **batch)
    node.run_until_quiet()
    return str(receipt.batch_id)


def prompts(what: str, images: int) -> list[str]:
    return [f"A {catalog.COLOURS[at % 10]} {what} on an oak table, morning light" for at in range(images)]


@pytest.fixture
def web(node: Node, sandbox: Provider, database_url: str, tmp_path: Path) -> Iterator[Web]:
    """Yield a web process over some weeks of a studio's work."""
    begin = node.clock.now
    for day in range(0, DAYS, 2):
        node.clock.now = max(node.clock.now, begin + timedelta(days=day))
        render(node, f"Shop refresh {node.clock.now:%d %b}", prompts("mug", 3 + day * 5 % 7), owner="shop")
    team = catalog.waiting(node, 9, live=5)
    sandbox.set(faults={"create": {"fail_generation": 0.25}})
    render(node, "Spring lookbook", prompts("vase", 40), owner="lookbooks", credit_cap=200)
    sandbox.set(faults={"create": {"fail_generation": 0.0}})
    node.clock.now = max(node.clock.now, datetime.now(UTC) - timedelta(minutes=3))
    sandbox.set(webhook_loopback=True)
    key = SecretStr(sandbox.key)
    with catalog.shown(node, database_url, tmp_path, base_url=sandbox.base_url, api_key=key) as found:
        with found.context.database.engine.begin() as tx:
            tx.execute(text("SET LOCAL ROLE NONE"))
            tx.execute(
                text("UPDATE batch b SET created_at = (SELECT min(admitted_at) FROM generation WHERE batch_id = b.id)")
            )
            tx.execute(text("INSERT INTO owner_cap (owner, monthly_cap) VALUES ('shop', 400), ('lookbooks', 1000)"))
            tx.execute(
                text("""
                    INSERT INTO schedule (id, name, catalog_id, cron, tz, credit_cap, overlap, missed, created_at,
                        created_by, counts_from)
                    SELECT gen_random_uuid(), 'Mugs, nightly', id, '0 2 * * *', 'Europe/Paris', 400, 'skip', 'run_once',
                        now(), 'mia', now() FROM catalog""")
            )
            tx.execute(text("UPDATE account SET wallet_left = 9412, wallet_read_at = now()"))
        doubted(found)
        node.submit(*({"prompt": each} for each in prompts("bowl", 24)), name="Hero images", owner="lookbooks")
        node.submit(*({"prompt": each} for each in prompts("lamp", 60)), name="Summer lookbook", owner="lookbooks")
        node.limit(rate=RATE, window=20)
        node.run_for(timedelta(seconds=15))
        more(team)
        yield found


def more(team: Team) -> None:
    """Change the catalog, so that there is something to plan."""
    team.recipe = {**team.recipe, "prompt": f"{catalog.PROMPT}, steam rising"}
    catalog._stock(team, {f"mug-{number:02}": catalog.COLOURS[number % 10] for number in range(1, 13)})


def places(web: Web) -> dict[str, str]:
    """Return the path of each page by the name of its picture."""
    with web.context.database.transaction() as tx:
        batch = tx.execute(text("SELECT id FROM batch WHERE name = 'Spring lookbook'")).scalar_one()
        job = tx.execute(
            text("SELECT id FROM job WHERE batch_id = :batch AND state = 'succeeded' LIMIT 1"), {"batch": batch}
        ).scalar_one()
    operator = signed_in(web, "operator")
    plan = operator.post(f"{web.url}/catalogs/mugs/plan", timeout=30, allow_redirects=False).headers["location"]
    admin = signed_in(web, "admin")
    admin.post(
        f"{web.url}/settings/hooks",
        data={"target": "https://shop.example.com/events", "event-batch.done": "1", "event-image.live": "1"},
        timeout=30,
    )
    webhooks = f"/accounts/{web.context.settings.account}/webhooks"
    address = {"address": "http://127.0.0.1:9/webhooks/provider", "verifier-standard": "1"}
    assert admin.post(web.url + webhooks, data=address, timeout=30).ok
    with web.context.database.transaction() as tx:
        hook = f"/settings/hooks/{tx.execute(text('SELECT id FROM hook')).scalar_one()}"
    bulk = ordered(operator, web, {"action": "pause", "owner": "lookbooks", "reason": "the sale begins on Monday"})
    return {
        "home": "/",
        "batches": "/batches",
        "batch": f"/batches/{batch}",
        "job": f"/jobs/{job}",
        "search": "/search?q=spring",
        "operations": "/operations",
        "operation": bulk,
        "in-doubt": "/in-doubt",
        "money": "/money",
        "catalogs": "/catalogs",
        "plan": plan,
        "schedules": "/schedules",
        "audit-log": "/audit-log",
        "import": "/catalogs/mugs/import",
        "history": "/catalogs/mugs/history?sku=mug-01",
        "schedule": "/schedules/new",
        "accounts": "/accounts",
        "webhooks": webhooks,
        "verify": "/money/verify",
        "check": "/money/check",
        "settings": "/settings",
        "hook": hook,
    }


def take(browser: Browser, kind: str, name: str, tmp_path: Path) -> None:
    """Write what is seen as a small picture, once the images in view are drawn."""
    seen = "[...document.images].filter((each) => each.getBoundingClientRect().top < innerHeight)"
    console.wait(browser, f"{seen}.every((each) => each.complete)", "the images in view")
    whole = tmp_path / "whole.png"
    browser.screenshot(whole)
    to = Path(TO) / kind / f"{name}.webp"
    to.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(whole) as image:
        image.convert("RGB").save(to, lossless=True, quality=40, method=3)


@pytest.mark.timeout(1_800)
def test_every_page_is_taken_light_dark_and_on_a_phone(browser: Browser, web: Web, tmp_path: Path) -> None:
    manifest, reference = written(tmp_path, lines=120)
    lines = manifest.read_text(encoding="utf-8").splitlines()
    manifest.write_text("\n".join([*lines, ",bowl-121,mug.png", "a bowl,bowl-122,bowl.png"]), encoding="utf-8")
    console.sign_in(browser, web)
    wanted = places(web)

    for kind, (is_dark, is_phone) in KINDS.items():
        with web.context.database.transaction() as tx:
            nodes.beat(tx, Beat(node_id=NODE, name="studio-1", version="1", round_age_s=1, clock_offset_s=0))
        console.look(browser, is_dark=is_dark, is_phone=is_phone)
        for name, path in wanted.items():
            browser.open(web.url + path)
            take(browser, kind, name, tmp_path)
        browser.open(f"{web.url}/batches/new")
        browser.click("[name=skip_invalid]")
        checked_here(browser, manifest, reference)
        browser.value("matchMedia('(min-width: 40rem)').matches && scrollTo(0, 0)")
        take(browser, kind, "submit", tmp_path)


def checked_here(browser: Browser, manifest: Path, reference: Path) -> None:
    """Choose the files in the form that is open, and check them; the page shows what was found."""
    browser.choose("[name=manifest]", manifest)
    browser.choose("[name=files]", reference)
    browser.click("#check")
    console.wait(browser, "document.querySelector('#take') !== null", "the preview is there")
