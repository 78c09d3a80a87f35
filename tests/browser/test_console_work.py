"""Whole jobs of people in a real browser: submit and follow a batch, decide in twos, and take a statement away."""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from tests.browser import console
from tests.browser.chromium import Browser
from tests.browser.test_console import batch_of, web
from tests.fixtures import pictures
from tests.fixtures.provider import Provider
from tests.pipeline.conftest import clock, folder, node, node_for
from tests.pipeline.conftest import process as provider
from tests.pipeline.node import Node
from tests.web.api import client as api
from tests.web.console import catalog
from tests.web.console.money.test_in_doubt import doubted, state_of
from tests.web.console.money.test_money import spend
from tests.web.serving import Web, serving, with_settings
from worker.web.console import batches as batch_pages

__all__ = ["clock", "folder", "node", "node_for", "provider", "web"]

TEXT = "document.querySelector('main').innerText"
STATE = "document.querySelector('#state .badge').textContent"
NAMES = "[...document.querySelectorAll('.name')].map((each) => each.textContent)"
_accounts = count()


@pytest.fixture
def sandbox(provider: Provider) -> Provider:
    """Return a fresh account; the fixture of this name elsewhere needs one that is the browser's here."""
    provider.reset()
    return provider.sibling(f"acct_work_{next(_accounts)}")


@pytest.fixture
def studio(node: Node, database_url: str, tmp_path: Path) -> Iterator[Web]:
    """Yield a web process whose batches a real node renders."""
    with catalog.shown(node, database_url, tmp_path) as found:
        yield found


def written(folder: Path, lines: int = 3) -> tuple[Path, Path]:
    """Write a manifest and the reference that it names."""
    pictures.reference(folder, "mug.png")
    manifest = folder / "spring.csv"
    rows = [f"a mug {number},mug-{number},mug.png" for number in range(1, lines + 1)]
    manifest.write_text("\n".join(["prompt,key,reference", *rows]), encoding="utf-8")
    return manifest, folder / "mug.png"


def ended(web: Web) -> int:
    """Count the jobs that have ended."""
    with web.context.database.transaction() as tx:
        return int(tx.execute(text("SELECT count(*) FROM job WHERE ended_at IS NOT NULL")).scalar_one())


def checked(browser: Browser, url: str, manifest: Path, reference: Path) -> None:
    """Choose the files and check them."""
    browser.open(f"{url}/batches")
    browser.click("a.button.main")
    browser.event("Page.loadEventFired")
    browser.choose("[name=manifest]", manifest)
    browser.choose("[name=files]", reference)
    browser.click("#check")
    console.wait(browser, "document.querySelector('#take') !== null", "the preview is there")


def test_a_csv_with_references_is_submitted_watched_live_and_paused(
    browser: Browser, studio: Web, node: Node, tmp_path: Path
) -> None:
    console.sign_in(browser, studio, "operator")
    checked(browser, studio.url, *written(tmp_path))
    preview = browser.value("document.querySelector('#preview').innerText")

    browser.click("#take")
    browser.event("Page.loadEventFired")
    path = browser.value("location.pathname")
    node.limit(rate=None, window=1)
    while not ended(studio):
        node.run_for(timedelta(seconds=1))
    console.wait(browser, f"{TEXT}.includes('1 succeeded')", "the page shows the first image by itself")
    browser.click("form[action$='/pause'] button")
    browser.event("Page.loadEventFired")

    assert "spring: 3 images for 12 credits" in preview
    assert "1 different" in preview
    assert path == f"/batches/{batch_of(studio, 'spring')}"
    assert browser.value(STATE) == "paused"
    assert browser.complaints() == []


def test_a_submission_that_is_cut_off_is_sent_again_and_is_one_batch(
    browser: Browser, web: Web, tmp_path: Path
) -> None:
    console.sign_in(browser, web, "operator")
    checked(browser, web.url, *written(tmp_path))
    before = api.count(web.context.database, "batch")

    browser.offline(is_on=True)
    browser.click("#take")
    console.wait(browser, "!document.querySelector('#lost').hidden", "the page says that the server is away")
    browser.offline(is_on=False)
    browser.value("(() => { const button = document.querySelector('#take'); button.click(); button.click(); })()")
    browser.event("Page.loadEventFired")
    place = browser.value("location.pathname")
    browser.value("history.back()")
    browser.event("Page.loadEventFired")

    assert api.count(web.context.database, "batch") == before + 1
    assert place == f"/batches/{batch_of(web, 'spring')}"
    console.wait(browser, f"location.pathname === '{place}'", "the form leads to its batch")


def test_faults_are_shown_by_line_and_what_is_changed_has_to_be_checked_again(
    browser: Browser, web: Web, tmp_path: Path
) -> None:
    manifest, reference = written(tmp_path)
    manifest.write_text("prompt,key,reference\n,one,mug.png\na bowl,two,missing.png\na vase,three,mug.png\n")
    console.sign_in(browser, web, "operator")
    browser.open(f"{web.url}/batches/new")
    browser.choose("[name=manifest]", manifest)
    browser.choose("[name=files]", reference)
    browser.click("#check")
    console.wait(browser, "document.querySelector('#faults') !== null", "the faults are shown")
    lines = browser.value("[...document.querySelectorAll('#preview td.number')].map((each) => each.textContent)")
    has_button = browser.value("document.querySelector('#take') !== null")

    browser.click("[name=skip_invalid]")
    is_cleared = browser.value("document.querySelector('#preview').childElementCount")
    browser.click("#check")
    console.wait(browser, "document.querySelector('#take') !== null", "the good line can be submitted")

    assert (lines, has_button, is_cleared) == (["2", "3"], False, 0)
    assert "Submit 1 image for 4 credits" in browser.value("document.querySelector('#take').textContent")


@pytest.mark.parametrize("kind", ["light", "dark", "phone"])
def test_the_submission_and_its_preview_have_no_barrier_and_fit_their_screen(
    browser: Browser, web: Web, tmp_path: Path, kind: str
) -> None:
    console.look(browser, is_dark=kind == "dark", is_phone=kind == "phone")
    console.sign_in(browser, web)
    checked(browser, web.url, *written(tmp_path))
    focused = browser.value("document.activeElement.id")

    assert console.barriers(browser) == []
    assert browser.value("Math.max(0, document.documentElement.scrollWidth - innerWidth)") == 0
    assert focused == "found"


def decide(browser: Browser, url: str) -> str:
    """Say that the only doubt was not charged, and return what the page says then."""
    browser.open(f"{url}/in-doubt")
    browser.click("[data-dialog^='#no-']")
    console.wait(browser, "document.querySelector('dialog[open]') !== null", "the dialog is open")
    browser.click("dialog[open] textarea")
    browser.write("the provider's invoice")
    browser.click("dialog[open] button.main")
    browser.event("Page.loadEventFired")
    return str(browser.value(TEXT))


def test_a_dear_doubt_is_decided_by_two_identities(browser: Browser, web: Web) -> None:
    with serving(with_settings(web.context, approve_above=2)) as strict:
        generation = doubted(strict)
        console.sign_in(browser, strict, "finance")
        first = decide(browser, strict.url)
        again = decide(browser, strict.url)
        between = state_of(strict, generation)
        console.sign_in(browser, strict, "finance", "viewer")
        second = decide(browser, strict.url)

        assert ("another person" in first, "another person" in again, between) == (True, True, ("in_doubt", 0))
        assert ("it was not charged" in second, state_of(strict, generation)) == (True, ("void", 0))


def test_a_statement_is_downloaded_with_the_evidence_for_its_bytes(browser: Browser, web: Web) -> None:
    spend(web, producer="spender")
    console.sign_in(browser, web, "finance")
    browser.open(f"{web.url}/money")

    browser.value("document.querySelector('form[action$=\"/money/report\"] [name=report]').value = 'statement'")
    browser.value("document.querySelector('form[action$=\"/money/report\"] [name=from]').value = '2026-01-01'")
    browser.value("document.querySelector('form[action$=\"/money/report\"] [name=to]').value = '2046-12-31'")
    browser.click("form[action$='/money/report'] button")

    with zipfile.ZipFile(browser.downloaded()) as archive:
        name, evidence = archive.namelist()
        body, proof = archive.read(name), json.loads(archive.read(evidence))
    assert (proof["report"], proof["body"]["sha256"]) == ("statement", hashlib.sha256(body).hexdigest())
    assert body


def test_rows_of_one_instant_are_each_on_one_page_of_the_list(
    browser: Browser, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_pages, "_PAGE", 2)
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(
            text("""
                INSERT INTO batch (id, account_id, token, content_hash, name, owner, purpose, priority, size, state,
                    created_at, size_policy, models, has_pending)
                SELECT gen_random_uuid(), account_id, 'copy ' || n, content_hash, 'copy ' || n, owner, purpose,
                    priority, size, state, created_at, size_policy, models, false
                FROM batch, generate_series(1, 5) n WHERE name = 'vases'""")
        )
        tx.execute(text("UPDATE batch SET created_at = '2026-11-29T10:00:00Z'"))
    console.sign_in(browser, web)
    browser.open(f"{web.url}/batches")
    found = list(browser.value(NAMES))

    while browser.value("document.querySelector('.pages a:last-child')?.textContent") == "Older":
        browser.click(".pages a:last-child")
        browser.event("Page.loadEventFired")
        found += browser.value(NAMES)

    assert sorted(found) == ["chairs", *(f"copy {number}" for number in range(1, 6)), "vases"]


def test_counts_are_those_of_the_filter_that_is_typed(browser: Browser, web: Web) -> None:
    console.sign_in(browser, web)
    browser.open(f"{web.url}/batches")

    browser.click("main [name=q]")
    browser.write("chair")
    browser.press("Enter")
    browser.event("Page.loadEventFired")

    counts = browser.value("[...document.querySelectorAll('.tabs .count')].map((each) => each.textContent)")
    assert (browser.value(NAMES), counts) == (["chairs"], ["1", "1", *["0"] * 6])


def test_no_page_shows_a_negative_wait_however_clocks_differ(browser: Browser, web: Web) -> None:
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(
            text("UPDATE batch SET created_at = now() + interval '1 hour', deadline_at = now() - interval '1 h'")
        )
    console.sign_in(browser, web)

    for path in ("/", "/batches", f"/batches/{batch_of(web)}"):
        browser.open(web.url + path)
        assert browser.value(f"{TEXT}.match(/(^|\\s)[-\\u2212] ?\\d+/g)") is None


def test_a_large_cap_is_shown_as_it_was_typed(browser: Browser, web: Web) -> None:
    console.sign_in(browser, web)
    browser.open(f"{web.url}/batches/{batch_of(web, 'chairs')}")
    browser.click("[data-dialog='#cap']")
    browser.value("document.querySelector('#cap [name=credits]').value = ''")
    browser.click("#cap [name=credits]")
    browser.write("9,007,199,254,740,991")
    browser.click("#cap button.main")
    browser.event("Page.loadEventFired")

    assert "9,007,199,254,740,991 credits" in browser.value(TEXT)
    console.wait(browser, "document.querySelector('#state').dataset.live === '3'", "the page is live")
    browser.value("document.querySelector('#state').dispatchEvent(new CustomEvent('refresh'))")
    assert "9,007,199,254,740,991 credits" in browser.value(TEXT)


class _Proxy(BaseHTTPRequestHandler):
    """Passes what is below ``/darkroom`` on without that prefix, as a proxy in front of Darkroom does."""

    inner, asked = "", list[str]()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        length = int(self.headers.get("Content-Length", "0"))
        connection = HTTPConnection(self.inner, timeout=30)
        path = self.path.removeprefix("/darkroom") if self.path.startswith("/darkroom/") else "/outside"
        connection.request(self.command, path, self.rfile.read(length), dict(self.headers))
        answer = connection.getresponse()
        body = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        connection.close()

    do_POST = do_GET  # noqa: N815 - as the library names it

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_below_a_prefix_every_request_of_a_browser_begins_with_it_once(browser: Browser, web: Web) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Proxy) as front:
        outer = f"http://127.0.0.1:{front.server_address[1]}"
        with serving(with_settings(web.context, web_url=f"{outer}/darkroom/")) as inner:
            _Proxy.inner, _Proxy.asked = urlsplit(inner.url).netloc, []
            thread = Thread(target=front.serve_forever, daemon=True)
            thread.start()
            browser.open(f"{outer}/darkroom/batches/?q=chair")
            place = browser.value("location.pathname")
            console.sign_in(browser, Web(url=f"{outer}/darkroom", context=inner.context), "operator")
            signed_in_at = browser.value("location.pathname + location.search")
            console.wait(browser, NAMES + ".join() === 'chairs'", "the list that was asked for")
            browser.value("document.querySelector('#list').dispatchEvent(new CustomEvent('refresh'))")
            browser.click(".name")
            browser.event("Page.loadEventFired")
            front.shutdown()
            thread.join()

    assert (place, signed_in_at) == ("/darkroom/sign-in", "/darkroom/batches?q=chair")
    assert [each for each in _Proxy.asked if not each.startswith("/darkroom/") or "//" in each] == []
