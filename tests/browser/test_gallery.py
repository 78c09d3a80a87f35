"""Ten thousand images of one batch are scrolled in a real browser without a stall."""

import hashlib
import io

import pytest
from PIL import Image
from sqlalchemy import text

from tests.browser import console
from tests.browser.chromium import Browser
from tests.browser.test_console import web
from tests.web.serving import Web
from worker.storage import thumbnails

__all__ = ["web"]

IMAGES, KINDS = 10_000, 16
LONGEST_TASK_MS = 1_500
"""Generous: machines that run tests are busy. One layout of all images took longer without ``content-visibility``."""
WATCH = """
    window.longest = 0;
    new PerformanceObserver((list) => {
        for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
    }).observe({type: "longtask"});
    window.asked = 0;
    const before = window.fetch;
    window.fetch = (...given) => { window.asked += 1; return before(...given); };"""
COUNT = "document.querySelectorAll('.gallery figure').length"
TO_THE_END = "scrollTo(0, document.documentElement.scrollHeight)"
# Of figures, not of their images: to measure what is inside of one that is not drawn would have it laid out.
SEEN = """[...document.querySelectorAll('.gallery figure')].filter((each) => {
    const place = each.getBoundingClientRect();
    return place.bottom > 0 && place.top < innerHeight;
}).map((each) => each.querySelector('img'))"""
LOADED = f"(() => {{ const seen = {SEEN}; return seen.length > 5 && seen.every((each) => each.naturalWidth > 0); }})()"


@pytest.fixture
def batch(web: Web) -> str:
    """Return a batch whose jobs all succeeded; their images are of a few kinds, small and in the store."""
    hashes = []
    for kind in range(KINDS):
        buffer = io.BytesIO()
        Image.new("RGB", (96, 96), (kind * 15, 90, 255 - kind * 15)).save(buffer, "JPEG")
        hashes.append(hashlib.sha256(buffer.getvalue()).hexdigest())
        web.context.store.put_new(thumbnails.path_of(hashes[-1]), buffer.getvalue(), content_type="image/jpeg")
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        found = tx.execute(
            text(
                "UPDATE batch SET name = 'ten thousand', size = :n, done_at = now() WHERE name = 'chairs' RETURNING id"
            ),
            {"n": IMAGES},
        ).scalar_one()
        tx.execute(text("DELETE FROM job WHERE batch_id = :batch"), {"batch": found})
        tx.execute(text("DELETE FROM job_count WHERE batch_id = :batch"), {"batch": found})
        tx.execute(
            text("""
                INSERT INTO job_count (batch_id, pending, active, succeeded, failed, in_doubt, cancelled)
                VALUES (:batch, 0, 0, :n, 0, 0, 0)"""),
            {"batch": found, "n": IMAGES},
        )
        tx.execute(
            text("""
                INSERT INTO job (id, batch_id, state, created_at, ended_at, line, key, model, prompt, params, extra,
                    fingerprint, price)
                SELECT gen_random_uuid(), :batch, 'succeeded', now(), now(), line, 'image-' || line, 'qwen-image',
                    'a mug', '{}', '{}', md5(line::text), 4 FROM generate_series(1, :n) line"""),
            {"batch": found, "n": IMAGES},
        )
        tx.execute(
            text("""
                INSERT INTO result (job_id, generation_id, source_url, path, sha256, size_bytes, mime_type, width,
                    height, frames, not_as_ordered, stored_at, recorded_at)
                SELECT id, id, '', 'made/' || line || '.jpg', (CAST(:hashes AS text[]))[1 + line % :kinds], 1000,
                    'image/jpeg', 96, 96, 1, '{}', now(), now() FROM job WHERE batch_id = :batch"""),
            {"batch": found, "hashes": hashes, "kinds": KINDS},
        )
        tx.execute(text("ANALYZE job, result"))
    return str(found)


@pytest.mark.timeout(900)
def test_ten_thousand_thumbnails_are_scrolled_without_a_stall(browser: Browser, web: Web, batch: str) -> None:
    console.sign_in(browser, web, "viewer")
    browser.open(f"{web.url}/batches/{batch}")
    browser.value(WATCH)

    while (before := browser.value(COUNT)) < IMAGES:
        browser.value(TO_THE_END)
        console.wait(browser, f"{COUNT} > {before}", f"more than {before} images")
    browser.value(TO_THE_END)
    console.wait(browser, LOADED, "every thumbnail at the end is drawn")
    browser.value("document.querySelectorAll('.gallery figure')[5000].scrollIntoView()")
    console.wait(browser, LOADED, "every thumbnail in the middle is drawn")

    assert browser.value(COUNT) == IMAGES
    assert (
        browser.value("new Set([...document.querySelectorAll('figcaption')].map((each) => each.title)).size") == IMAGES
    )
    assert browser.value("window.asked") <= 1 + IMAGES / 240
    assert browser.value("document.querySelectorAll('*').length") < 5 * IMAGES + 1_000
    assert browser.value("Math.round(window.longest)") < LONGEST_TASK_MS
    assert browser.complaints() == []
