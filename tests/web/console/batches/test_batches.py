"""The list of batches: its filter, its counts and its pages."""

import re

import pytest
from sqlalchemy import text

from tests.web.api.client import Client, client, end_jobs
from tests.web.console.pages import get, names_of, signed_in, text_of
from tests.web.serving import Web
from worker.web.console import batches


def submitted(shop: Client, name: str, lines: int = 1, **batch: object) -> str:
    prompts = [f"vase {number}" for number in range(lines)]
    return str(shop.submit(prompts, name, name=name, **batch).json()["batch"])


def test_pages_of_batches_of_one_instant_neither_repeat_nor_miss_one(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_PAGE", 2)
    shop, browser = client(web), signed_in(web)
    names = {f"batch {number}" for number in range(5)}
    for name in names:
        submitted(shop, name)
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("UPDATE batch SET created_at = '2026-11-29T10:00:00Z'"))
    found: list[str] = []
    path: str | None = "/batches"

    while path is not None:
        page = get(browser, web, path)
        found += names_of(page)
        older = re.findall(r'href="(\?[^"]*after=[^"]*)">Older', page.text)
        path = "/batches" + older[0].replace("&amp;", "&") if older else None

    assert (len(found), set(found)) == (5, names)


def test_counts_are_of_the_batches_that_the_filter_leaves(web: Web) -> None:
    shop, browser = client(web), signed_in(web)
    submitted(shop, "autumn vases", owner="shop")
    failing = submitted(shop, "autumn bowls", lines=2, owner="studio")
    end_jobs(web.context.database, failing, [1, 2])
    submitted(shop, "winter")

    everything = text_of(get(browser, web, "/batches"))
    autumn = text_of(get(browser, web, "/batches?q=AUTUMN&state=open"))
    studio = text_of(get(browser, web, "/batches?owner=studio"))

    assert "All 3 Open 2 Paused 0 With failures 1 In doubt 0 Done 1" in everything
    assert "All 2 Open 1 Paused 0 With failures 1 In doubt 0 Done 1" in autumn
    assert "All 1 Open 0 Paused 0 With failures 1 In doubt 0 Done 1" in studio


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["d", "c", "b", "a"]),
        ("?state=open", ["d"]),
        ("?state=paused", ["b"]),
        ("?state=failed", ["c"]),
        ("?state=done", ["c"]),
        ("?state=cancelled", ["a"]),
        ("?state=in_doubt", []),
        ("?q=c", ["c"]),
        ("?q=%25", []),
        ("?owner=shop", ["d"]),
    ],
)
def test_batches_are_found_by_where_they_stand(web: Web, query: str, names: list[str]) -> None:
    shop = client(web)
    shop.post(f"/batches/{submitted(shop, 'a')}/cancel")
    shop.post(f"/batches/{submitted(shop, 'b')}/pause")
    end_jobs(web.context.database, submitted(shop, "c"), [1])
    submitted(shop, "d", owner="shop")

    assert names_of(get(signed_in(web), web, "/batches" + query)) == names


def test_a_batch_says_where_its_jobs_are_and_what_of_its_cap_is_used(web: Web) -> None:
    shop = client(web)
    batch = submitted(shop, "vases", lines=3, credit_cap=8)
    end_jobs(web.context.database, batch, [1], state="succeeded")

    said = text_of(get(signed_in(web), web, "/batches"))

    assert "1 of 3 · 2 in our queue" in said
    assert "0 0 % of 8" in said


@pytest.mark.parametrize("query", ["?after=nonsense", "?state=sideways", "?after=AAAA"])
def test_a_place_or_state_that_there_is_not_is_said_on_a_page(web: Web, query: str) -> None:
    answer = get(signed_in(web), web, "/batches" + query, status=404)

    assert "There is no such page" in answer.text
