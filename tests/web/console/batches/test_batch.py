"""A batch's page: where it stands, its images, its files, and what is done about it."""

import csv
import io
import json
import re
import zipfile

import pytest
import requests
from sqlalchemy import text

from tests.web.api.client import client, end_jobs
from tests.web.api.test_batches import stored
from tests.web.console.batches.test_batches import submitted
from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web
from worker.storage import thumbnails
from worker.web.console import batch as page


def state_of(web: Web, batch: str) -> str:
    with web.context.database.transaction() as tx:
        return str(tx.execute(text("SELECT state FROM batch WHERE id = :id"), {"id": batch}).scalar_one())


def test_failures_are_grouped_by_code_and_lead_to_their_images(web: Web) -> None:
    batch, browser = submitted(client(web), "vases", lines=3), signed_in(web)
    end_jobs(web.context.database, batch, [1, 2])

    whole = get(browser, web, f"/batches/{batch}")
    failed = get(browser, web, f"/batches/{batch}?show=failed&code=made_up")

    assert (
        f'href="/batches/{batch}?show=failed&amp;code=made_up#lines">made_up</a></td><td class="number">2' in whole.text
    )
    assert len(re.findall("<figure>", failed.text)) == 2
    assert "made_up" in text_of(failed)


def test_every_image_is_on_one_page_of_the_gallery_and_on_no_other(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "_PAGE", 2)
    batch, browser = submitted(client(web), "vases", lines=5), signed_in(web)
    found: list[str] = []
    path: str | None = f"/batches/{batch}"

    while path is not None:
        answer = get(browser, web, path)
        found += re.findall(r'<figcaption title="([^"]*)"', answer.text)
        more = re.findall(r'<a class="button" href="([^"]*)#lines".*>More', answer.text)
        path = more[0].replace("&amp;", "&") if more else None

    assert (len(found), len(set(found))) == (5, 5)


@pytest.mark.parametrize("path", ["?show=sideways", "?after=nonsense"])
def test_what_no_page_asked_for_is_said_on_a_page(web: Web, path: str) -> None:
    batch = submitted(client(web), "vases")

    get(signed_in(web), web, f"/batches/{batch}{path}", status=404)


@pytest.mark.parametrize("batch", ["nonsense", "01a226fb-54b2-7744-9e6d-edb8c238260d"])
def test_a_batch_that_there_is_not_is_said_on_a_page(web: Web, batch: str) -> None:
    assert "there is no such batch" in get(signed_in(web), web, f"/batches/{batch}", status=404).text


def test_a_batch_is_paused_resumed_and_cancelled_by_the_person_who_is_signed_in(web: Web) -> None:
    batch, browser = submitted(client(web), "vases"), signed_in(web, "operator")
    states = []

    for action in ("pause", "resume", "cancel"):
        answer = browser.post(f"{web.url}/batches/{batch}/{action}", data={"reason": "a sale"}, timeout=10)
        states.append((answer.url.partition("?")[2], state_of(web, batch)))

    assert states == [("did=paused", "paused"), ("did=resumed", "open"), ("did=cancelled", "cancelled")]
    assert re.search(r"web:operator</td><td[^>]*>state: open → cancelled</td><td[^>]*>a sale", answer.text)


def test_what_means_nothing_now_is_refused_in_words(web: Web) -> None:
    batch, browser = submitted(client(web), "vases"), signed_in(web)

    answer = browser.post(f"{web.url}/batches/{batch}/resume", timeout=10)

    assert (answer.status_code, "That cannot be done now" in answer.text) == (409, True)


def test_the_form_of_another_site_changes_nothing(web: Web) -> None:
    batch, browser = submitted(client(web), "vases"), signed_in(web)

    answer = browser.post(f"{web.url}/batches/{batch}/cancel", headers={"Sec-Fetch-Site": "cross-site"}, timeout=10)

    assert (answer.status_code, state_of(web, batch)) == (403, "open")


@pytest.mark.parametrize(
    ("role", "action", "status"),
    [("viewer", "pause", 403), ("finance", "cancel", 403), ("operator", "cap", 403), ("finance", "cap", 303)],
)
def test_each_form_takes_its_right(web: Web, role: str, action: str, status: int) -> None:
    batch, browser = submitted(client(web), "vases"), signed_in(web, role)

    answer = browser.post(
        f"{web.url}/batches/{batch}/{action}", data={"credits": "80"}, timeout=10, allow_redirects=False
    )

    assert answer.status_code == status


def test_actions_that_a_person_may_not_do_are_not_offered(web: Web) -> None:
    batch = submitted(client(web), "vases")

    found = get(signed_in(web, "viewer"), web, f"/batches/{batch}").text

    assert f"/batches/{batch}/pause" not in found
    assert "<dialog" not in found


@pytest.mark.parametrize(("typed", "cap"), [("9,007,199,254", 9007199254), ("", None)])
def test_a_cap_is_set_and_lifted_exactly(web: Web, typed: str, cap: int | None) -> None:
    batch, browser = submitted(client(web), "vases", credit_cap=8), signed_in(web)

    browser.post(f"{web.url}/batches/{batch}/cap", data={"credits": typed}, timeout=10)

    with web.context.database.transaction() as tx:
        assert tx.execute(text("SELECT credit_cap FROM batch WHERE id = :id"), {"id": batch}).scalar_one() == cap


def test_a_deadline_is_set_and_lifted_and_is_in_the_changes_of_the_batch(web: Web) -> None:
    batch, operator = submitted(client(web), "vases"), signed_in(web, "operator")

    def deadline(when: str, status: int = 200) -> str:
        answer = operator.post(f"{web.url}/batches/{batch}/deadline", data={"when": when, "reason": "sale"}, timeout=10)
        assert answer.status_code == status, answer.text
        return text_of(answer)

    dated, wrong, past = deadline("6h"), deadline("soon", 422), deadline("2020-01-01T00:00Z", 422)
    between = text_of(get(operator, web, f"/batches/{batch}"))
    lifted = deadline("")

    assert "The deadline is set" in dated
    assert "deadline: none → 20" in dated
    assert "Deadline in 5 h 59 min" in between or "Deadline in 6 h" in between
    assert ("deadline" in wrong, "has passed already" in past) == (True, True)
    assert "The batch has no deadline any more" in lifted
    assert "Deadline none" in lifted


def test_a_batch_is_given_another_priority_and_weight(web: Web) -> None:
    batch, operator = submitted(client(web), "vases"), signed_in(web, "operator")

    said = operator.post(f"{web.url}/batches/{batch}/priority", data={"priority": "refresh", "weight": "3"}, timeout=10)

    with web.context.database.transaction() as tx:
        row = tx.execute(text("SELECT priority, weight FROM batch WHERE id = :id"), {"id": batch}).one()
    assert tuple(row) == ("refresh", 3)
    assert "The batch has another turn" in text_of(said)


def test_what_is_no_number_is_no_cap(web: Web) -> None:
    batch, browser = submitted(client(web), "vases", credit_cap=8), signed_in(web)

    answer = browser.post(f"{web.url}/batches/{batch}/cap", data={"credits": "many"}, timeout=10)

    assert (answer.status_code, "credits" in text_of(answer)) == (422, True)


def test_a_retry_costs_no_more_than_the_page_has_said(web: Web) -> None:
    batch, browser = submitted(client(web), "vases", lines=2), signed_in(web)
    end_jobs(web.context.database, batch, [1])
    offered = re.findall(r'name="max_credits" value="(\d+)"', get(browser, web, f"/batches/{batch}").text)[0]
    end_jobs(web.context.database, batch, [1, 2])

    dearer = browser.post(f"{web.url}/batches/{batch}/retry", data={"max_credits": offered}, timeout=10)
    chosen = browser.post(f"{web.url}/batches/{batch}/retry", data={"max_credits": "8"}, timeout=10)

    assert (dearer.status_code, "it would cost 8 credits" in text_of(dearer)) == (409, True)
    assert chosen.url.endswith("did=retried")


def test_results_come_as_json_lines_and_as_a_table_and_are_in_the_log_of_changes(web: Web) -> None:
    batch, browser = submitted(client(web), "vases", lines=3), signed_in(web)
    end_jobs(web.context.database, batch, [2])

    lines = get(browser, web, f"/batches/{batch}/results.jsonl")
    table = get(browser, web, f"/batches/{batch}/results.csv")

    assert [json.loads(each)["line"] for each in lines.text.splitlines()] == [1, 2, 3]
    assert [row["error_code"] for row in csv.DictReader(io.StringIO(table.text))] == ["", "made_up", ""]
    assert lines.headers["content-disposition"] == f'attachment; filename="{batch}.jsonl"'
    assert text_of(get(browser, web, f"/batches/{batch}")).count("exported: none → results") == 2


def test_all_images_come_in_one_archive_that_lists_those_which_are_not_in_the_store(web: Web) -> None:
    shop, browser = client(web), signed_in(web)
    batch = submitted(shop, "vases", lines=2)
    there, lost = stored(web, batch), stored(web, batch, line=2)
    names = [f"{shop.get(f'/jobs/{job}').json()['key']}.png" for job, _ in (there, lost)]
    web.context.store.remove("made/up2.png")

    answer = get(browser, web, f"/batches/{batch}/images.zip")

    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [names[0], "MISSING.txt"]
        assert archive.read(names[0]) == there[1]
        assert archive.read("MISSING.txt").decode() == f"{names[1]}: not in the store\n"
    assert "exported: none → images" in text_of(get(browser, web, f"/batches/{batch}"))


def test_a_file_is_for_who_is_signed_in(web: Web) -> None:
    batch = submitted(client(web), "vases")

    answer = web_get(web, f"/batches/{batch}/results.csv")

    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


def web_get(web: Web, path: str) -> requests.Response:
    return requests.get(web.url + path, timeout=10, allow_redirects=False)


def test_a_thumbnail_is_made_once_kept_in_the_store_and_cached_for_ever(web: Web) -> None:
    batch, browser = submitted(client(web), "vases"), signed_in(web)
    job, content = stored(web, batch)
    path = re.findall(rf'src="(/jobs/{job}/thumbnail/[0-9a-f]+)"', get(browser, web, f"/batches/{batch}").text)[0]

    first = get(browser, web, path)
    kept = web.context.store.read(thumbnails.path_of(path.rpartition("/")[2]))
    again = get(browser, web, path, status=304, headers={"If-None-Match": first.headers["etag"]})

    assert (first.headers["content-type"], first.headers["cache-control"]) == (
        "image/jpeg",
        "private, max-age=31536000, immutable",
    )
    assert (first.content == kept, kept != content, again.content) == (True, True, b"")


def test_the_thumbnail_of_other_bytes_is_none_of_the_job(web: Web) -> None:
    batch = submitted(client(web), "vases")
    job, _ = stored(web, batch)

    get(signed_in(web), web, f"/jobs/{job}/thumbnail/{'0' * 64}", status=404)


def test_an_image_that_is_not_in_the_store_has_no_thumbnail(web: Web) -> None:
    batch = submitted(client(web), "vases")
    job, _ = stored(web, batch)
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("UPDATE result SET path = 'elsewhere.png', sha256 = :other"), {"other": "1" * 64})

    get(signed_in(web), web, f"/jobs/{job}/thumbnail/{'1' * 64}", status=404)
