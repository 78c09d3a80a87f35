"""The search finds jobs by whatever a person has in hand, the oldest too, and says when it was stopped."""

import re

import pytest
import requests
from sqlalchemy import text

from tests.web.api.client import client, end_jobs
from tests.web.console.batches.test_batches import submitted
from tests.web.console.batches.test_job import begin, jobs_of
from tests.web.console.pages import get, names_of, signed_in, text_of
from tests.web.serving import Web
from worker.web.console import search


def rename(web: Web, job: str, key: str) -> None:
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("UPDATE job SET key = :key WHERE id = :id"), {"key": key, "id": job})


@pytest.mark.parametrize("words", ["chair-oak", "task-17", "line 2", "2", "made_up", "darkroom-JOB", "JOB"])
def test_a_job_is_found_by_what_a_person_has_in_hand(web: Web, words: str) -> None:
    batch = submitted(client(web), "vases", lines=2)
    first, job = jobs_of(web, batch)
    rename(web, first, "lamp")
    begin(web, job)
    rename(web, job, "chair-oak-007")
    end_jobs(web.context.database, batch, [2])

    found = names_of(get(signed_in(web), web, "/search?q=" + words.replace("JOB", job)))

    assert found == ["chair-oak-007"]


def test_a_sign_of_a_pattern_stands_for_itself(web: Web) -> None:
    [job] = jobs_of(web, submitted(client(web), "vases"))
    rename(web, job, "a_b")
    browser = signed_in(web)

    assert names_of(get(browser, web, "/search?q=a_")) == ["a_b"]
    assert names_of(get(browser, web, "/search?q=%25")) == []
    assert names_of(get(browser, web, "/search?q=a%25")) == []


def test_batches_are_found_by_their_name_too(web: Web) -> None:
    submitted(client(web), "Autumn vases")

    assert "Autumn vases" in names_of(get(signed_in(web), web, "/search?q=autumn"))


def test_every_job_that_matches_is_on_one_of_the_pages(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_PAGE", 2)
    batch, browser = submitted(client(web), "vases", lines=5), signed_in(web)
    for number, job in enumerate(jobs_of(web, batch)):
        rename(web, job, f"chair-{number}")
    found: list[str] = []
    path: str | None = "/search?q=chair"

    while path is not None:
        page = get(browser, web, path)
        found += names_of(page)
        older = re.findall(r'href="([^"]*kind=key[^"]*)">Older', page.text)
        path = older[0].replace("&amp;", "&") if older else None

    assert found == [f"chair-{number}" for number in (4, 3, 2, 1, 0)]


def test_a_search_that_takes_too_long_is_stopped_by_the_server_and_said(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = submitted(client(web), "vases")
    [job] = jobs_of(web, batch)
    rename(web, job, "chair")
    end_jobs(web.context.database, batch, [1])
    browser = signed_in(web)
    monkeypatch.setattr(search, "TIMEOUT_MS", 250)
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("LOCK TABLE catalog_item IN ACCESS EXCLUSIVE MODE"))

        page = get(browser, web, "/search?q=chair")

    assert "The search by sku took longer" in text_of(page)
    assert names_of(page) == ["chair"]


@pytest.mark.parametrize("query", ["?q=a&kind=sideways", "?q=a&kind=key&after=nonsense"])
def test_a_page_that_there_is_not_is_said(web: Web, query: str) -> None:
    get(signed_in(web), web, "/search" + query, status=404)


def test_without_words_the_page_says_what_can_be_searched_for(web: Web) -> None:
    assert "What are you looking for?" in text_of(get(signed_in(web), web, "/search"))


def errors(browser: requests.Session, web: Web, words: str) -> list[str]:
    """Return the keys of all pages of a search of errors."""
    found: list[str] = []
    path: str | None = f"/search?q={words}&kind=error"
    while path is not None:
        page = get(browser, web, path)
        found += names_of(page)
        older = re.findall(r'href="([^"]*kind=error[^"]*)">Older', page.text)
        path = older[0].replace("&amp;", "&") if older else None
    return found


@pytest.mark.parametrize("words", ["made_up", "too%20DARK"])
def test_errors_are_found_by_code_or_words_newest_first_on_as_many_pages_as_it_takes(
    web: Web, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr(search, "_PAGE", 2)
    batch, browser = submitted(client(web), "vases", lines=5), signed_in(web)
    for number, job in enumerate(jobs_of(web, batch)):
        rename(web, job, f"chair-{number}")
    end_jobs(web.context.database, batch, [1, 2, 3, 4, 5])
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("UPDATE job SET failure_message = 'It was too dark, twice'"))

    assert errors(browser, web, words) == [f"chair-{number}" for number in (4, 3, 2, 1, 0)]


def test_a_line_is_found_in_every_batch_that_has_it_newest_first(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_PAGE", 2)
    shop, browser = client(web), signed_in(web)
    wanted = [
        jobs_of(web, submitted(shop, name, lines=lines)) for name, lines in (("a", 2), ("b", 1), ("c", 3), ("d", 2))
    ]
    for number, jobs in enumerate(wanted):
        for line, job in enumerate(jobs, start=1):
            rename(web, job, f"{number}-{line}")

    first = get(browser, web, "/search?q=line%202&kind=line")
    older = re.findall(r'href="([^"]*kind=line[^"]*)">Older', first.text)[0].replace("&amp;", "&")

    assert (names_of(first), names_of(get(browser, web, older))) == (["3-2", "2-2"], ["0-2"])


def test_what_names_one_thing_is_not_looked_for_in_errors_unless_asked(web: Web) -> None:
    batch, browser = submitted(client(web), "vases"), signed_in(web)
    [job] = jobs_of(web, batch)
    rename(web, job, "made_up")
    end_jobs(web.context.database, batch, [1])

    page = get(browser, web, "/search?q=made_up")

    assert ("By key" in text_of(page), "By error" in text_of(page)) == (True, False)
    assert "Search the errors of jobs too" in text_of(page)
    assert errors(browser, web, "made_up") == ["made_up"]
