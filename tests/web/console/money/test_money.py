"""The page on money, its reports with evidence, and the pages that show settings and the log."""

import hashlib
import io
import json
import re
import zipfile

import pytest
from sqlalchemy import text

from tests.web.api.client import client
from tests.web.console.batches.test_batches import submitted
from tests.web.console.batches.test_job import begin, jobs_of
from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web


def spend(web: Web, credits_: int = 4, *, producer: str = "shop") -> None:
    [job] = jobs_of(web, submitted(client(web, producer), "vases", owner="studio"))
    begin(web, job)
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(
            text("""
                INSERT INTO credit_entry (batch_id, generation_id, kind, source, target, credits, posted_at)
                SELECT batch_id, id, 'overrun', 'cap', 'spent', :credits, admitted_at FROM generation
                WHERE id = :id"""),
            {"id": job, "credits": credits_},
        )


@pytest.mark.parametrize(
    ("by", "line"), [("day", ""), ("owner", "studio"), ("catalog", "no catalog"), ("model", "qwen-image")]
)
def test_spend_is_shown_by_each_of_its_lines_exactly(web: Web, by: str, line: str) -> None:
    spend(web, 2_000_000_003)

    said = text_of(get(signed_in(web, "finance"), web, f"/money?by={by}"))

    assert f"{line} 2,000,000,003 100 % Total 2,000,000,003" in said
    assert "under 1 h 1 4" in said


@pytest.mark.parametrize("query", ["?month=november", "?by=moon"])
def test_a_month_or_line_that_there_is_not_is_said(web: Web, query: str) -> None:
    get(signed_in(web), web, "/money" + query, status=404)


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_money_is_for_who_has_the_right(web: Web, role: str) -> None:
    get(signed_in(web, role), web, "/money", status=403)


@pytest.mark.parametrize(
    "report", ["statement", "spend", "outstanding", "trial-balance", "reconcile", "export", "changes"]
)
def test_a_report_comes_with_the_evidence_for_its_bytes(web: Web, report: str) -> None:
    spend(web)

    answer = get(signed_in(web), web, f"/money/report?report={report}&format=csv&from=2026-01-01&to=2046-12-31")

    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        name, evidence = archive.namelist()
        body, proof = archive.read(name), json.loads(archive.read(evidence))
    assert (proof["report"], proof["body"]["sha256"]) == (report, hashlib.sha256(body).hexdigest())


@pytest.mark.parametrize(
    "query",
    [
        "report=moon&format=csv",
        "report=spend&format=hledger",
        "report=spend&format=csv&batch=vases",
        "report=export&format=csv&from=2026-02-01&to=2026-01-01",
    ],
)
def test_a_report_that_the_page_does_not_offer_is_refused(web: Web, query: str) -> None:
    get(signed_in(web), web, "/money/report?" + query, status=422)


def test_the_log_is_filtered_and_goes_on_behind_its_first_page(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.web.console.audit_log._PAGE", 2)
    shop, browser = client(web), signed_in(web)
    batches = [submitted(shop, f"batch {number}") for number in range(5)]
    for batch in batches:
        shop.post(f"/batches/{batch}/pause")
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        tx.execute(text("UPDATE change SET changed_at = '2026-11-29T10:00:00Z'"))
        logged = tx.execute(
            text("SELECT split_part(subject, ':', 2) FROM change WHERE subject LIKE 'batch:%'")
        ).scalars()
        expected = sorted(logged)
    found: list[str] = []
    path: str | None = "/audit-log?subject=batch:&actor=SHOP"

    while path is not None:
        page = get(browser, web, path)
        found += re.findall(r'href="/batches/([^"]+)"', page.text)
        older = re.findall(r'href="(\?[^"]*)">Older', page.text)
        path = "/audit-log" + older[0].replace("&amp;", "&") if older else None

    assert (sorted(found), set(found)) == (expected, set(batches))


def test_a_place_in_the_log_that_there_is_not_is_said(web: Web) -> None:
    get(signed_in(web), web, "/audit-log?after=nonsense", status=404)


def test_settings_are_for_administrators_and_show_no_secret(web: Web) -> None:
    headers = client(web).headers

    page = get(signed_in(web), web, "/settings")
    get(signed_in(web, "operator"), web, "/settings", status=403)

    assert "shop" in text_of(page)
    assert headers["Authorization"].removeprefix("Bearer ") not in page.text


def test_schedules_are_shown_with_their_next_runs(web: Web) -> None:
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(
            text("""
                INSERT INTO catalog (id, name, recipe, recipe_hash, review, created_at, updated_at)
                VALUES (gen_random_uuid(), 'shop', '{}', 'h', 'none', now(), now())""")
        )
        tx.execute(
            text("""
                INSERT INTO schedule (id, name, catalog_id, cron, tz, credit_cap, overlap, missed, created_at,
                    created_by, counts_from)
                SELECT gen_random_uuid(), 'nightly', id, '0 2 * * *', 'Europe/Paris', 400, 'skip', 'run_once', now(),
                    'ann', now() FROM catalog""")
        )

    said = text_of(get(signed_in(web, "viewer"), web, "/schedules"))

    assert "nightly on" in said
    assert re.search(r"Next runs in \d+ .* , in \d+ h|Next runs in \d+", said)
