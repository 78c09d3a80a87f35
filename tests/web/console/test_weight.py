"""No page of the console weighs more than 120 kB before its pictures, however many rows there are."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import psycopg
import pytest
import requests
from pydantic import SecretStr
from sqlalchemy import text

from ops.bench.volume import console
from tests.web.console.batches.test_operations import ordered
from tests.web.console.catalogs.test_catalog_items import upload
from tests.web.console.pages import get, signed_in
from tests.web.serving import Web, serving
from worker.settings import Settings
from worker.web import server
from worker.web.console import assets

MOST_BYTES = 120_000
JOBS, PER_BATCH, ITEMS = 6_000, 60, 400
WORDS = "a long prompt that somebody has written with a lot of care, in every detail, " * 60
_WORST = (
    "UPDATE job SET state = 'in_doubt' WHERE line %% 100 = 7",
    """
    UPDATE generation g SET state = 'in_doubt', final = NULL, ended_at = '2026-01-01' FROM job j
    WHERE j.id = g.job_id AND j.state = 'in_doubt'""",
    """UPDATE catalog SET recipe = '{"prompt": "a vase"}'""",
    """UPDATE catalog_plan SET document = '{"renders": [], "keeps": {}}'""",
    "UPDATE job SET prompt = %(words)s WHERE state = 'in_doubt' OR line = 1",
    "UPDATE generation SET error_code = 'no_answer', error_message = left(%(words)s, 900) WHERE state = 'in_doubt'",
    """
    INSERT INTO call (started_at, account_id, generation_id, kind, send, is_late, outcome, message, recorded_at)
    SELECT now() - n * interval '1 min', account_id, id, 'get', NULL, false, 'unknown', left(%(words)s, 150), now()
    FROM generation, generate_series(1, 200) n WHERE state = 'in_doubt'""",
)


@pytest.fixture
def web(database_url: str, tmp_path: Path) -> Iterator[Web]:
    """Yield a server over a hundred batches, each with failures and a doubt, and long texts everywhere."""
    settings = Settings.model_validate({}).model_copy(
        update={"database_url": SecretStr(database_url), "home": tmp_path, "store": str(tmp_path / "images")}
    )
    opened = server.context(settings)
    console.fill(opened.database, database_url, JOBS, PER_BATCH)
    with psycopg.connect(database_url.replace("+psycopg", "", 1), autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        for statement in _WORST:
            admin.execute(statement, {"words": WORDS})
    with serving(opened) as found:
        yield found
    opened.database.close()


def weight(answer: requests.Response) -> int:
    """Return the bytes of the page with its scripts and styles, which a browser gets compressed and once."""
    linked = [name for name in assets.NAMES if f"/{name}" in answer.text]
    return len(answer.content) + sum(len(assets.asset(name).compressed) for name in linked)


def ids_of(page: requests.Response) -> list[str]:
    """Return the generations of a page of doubts, in its order."""
    return re.findall(r'<h2 id="d-([^"]*)"', page.text)


def next_of(page: requests.Response) -> str:
    """Return the path of the page that follows; empty for the last one."""
    found = re.search(r'href="([^"]*)">Next<', page.text)
    return "" if found is None else f"/in-doubt{unescape(found[1])}"


def filled(web: Web, admin: requests.Session) -> dict[str, str]:
    """Fill the lists that the batches do not fill; return the paths of the pages that have them."""
    for number in range(60):
        fields = {"owner": f"studio-{number}", "credits": "1000", "reason": WORDS[:900]}
        assert admin.post(f"{web.url}/money/cap", data=fields, timeout=30).ok
        ordered(admin, web, {"action": "pause", "owner": f"studio-{number}", "reason": WORDS[:900]})
    everything = ordered(admin, web, {"action": "pause", "all": "1", "reason": WORDS[:900]})
    lines = "".join(f"item-{number},{WORDS[:200].replace(',', ' ')}\n" for number in range(ITEMS))
    upload(admin, web, f"sku,colour\n{lines}")
    plan = admin.post(f"{web.url}/catalogs/mugs/plan", timeout=60)
    with web.context.database.transaction() as tx:
        doubted = tx.execute(text("SELECT id, batch_id FROM job WHERE state = 'in_doubt' LIMIT 1")).one()
    return {
        "operations": "/operations",
        "an operation": everything,
        "catalogs": "/catalogs",
        "a plan": plan.url.removeprefix(web.url),
        "accounts": "/accounts",
        "money by owner": "/money?by=owner",
        "money by model": "/money?by=model",
        "a doubted job": f"/jobs/{doubted.id}",
        "a batch's doubts": f"/batches/{doubted.batch_id}?show=in_doubt",
    }


@pytest.mark.timeout(300)
def test_no_page_weighs_more_than_120_kb_before_its_pictures(web: Web) -> None:
    admin = signed_in(web, "admin")
    samples = {name: values[0] for name, values in console.samples_of(web.context.database, 1).items()}

    weights = {
        name: weight(get(admin, web, path.format(**samples)))
        for name, path in (console.PAGES | filled(web, admin)).items()
    }

    assert {name: each for name, each in weights.items() if each > MOST_BYTES} == {}


def test_every_doubt_is_on_one_of_the_pages(web: Web) -> None:
    admin, path, seen = signed_in(web), "/in-doubt", list[str]()

    while path:
        page = get(admin, web, path)
        seen += ids_of(page)
        path = next_of(page)

    with web.context.database.transaction() as tx:
        known = tx.execute(text("SELECT id FROM generation WHERE state = 'in_doubt' ORDER BY ended_at, id")).scalars()
        assert seen == [str(each) for each in known]
