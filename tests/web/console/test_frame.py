"""The frame of the console: who may look, what it serves for ever, and where its links lead."""

import hashlib
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from tests.web.api.client import client
from tests.web.console.pages import get, links_of, signed_in, text_of
from tests.web.serving import Web, serving, with_settings
from worker.settings import Settings
from worker.web.console import assets, routes
from worker.web.context import WebContext

ROOT = Path(__file__).resolve().parents[3]
VENDORED = (ROOT / "worker" / "web" / "static" / "vendor", ROOT / "tests" / "browser" / "vendor")
LISTED = re.compile(r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", re.MULTILINE)
PAGES = [entry.path for entry in routes.NAVIGATION]


def test_who_is_not_signed_in_is_sent_to_the_sign_in_page(web: Web) -> None:
    answer = requests.get(web.url + "/batches", timeout=10, allow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


def test_a_part_of_a_page_that_asks_without_a_session_moves_the_whole_page_to_the_sign_in(web: Web) -> None:
    answer = requests.get(web.url + "/", headers={"HX-Request": "true"}, timeout=10, allow_redirects=False)

    assert (answer.status_code, answer.headers["hx-redirect"], answer.text) == (401, "/sign-in", "")


def test_a_token_of_one_owner_sees_no_page_with_figures_of_all(web: Web) -> None:
    headers = client(web, owner="shop").headers

    answer = requests.get(web.url + "/batches", headers=dict(headers), timeout=10)

    assert answer.status_code == 403
    assert "acts for shop alone" in answer.text


def test_an_address_that_is_no_page_is_a_page_that_says_so(web: Web) -> None:
    answer = requests.get(web.url + "/nothing", headers={"Accept": "text/html"}, timeout=10)

    assert (answer.status_code, "There is no such page" in answer.text) == (404, True)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_permits_nothing_that_has_no_nonce(web: Web, path: str) -> None:
    answer = get(signed_in(web), web, path)

    policy = answer.headers["content-security-policy"]
    nonce = re.findall(r"script-src 'nonce-([^']+)'", policy)[0]
    assert "unsafe" not in policy
    assert (
        set(
            re.findall(
                r"<(?:script|style|link rel=\"stylesheet\")(?![^>]*nonce=\"" + re.escape(nonce) + r"\")", answer.text
            )
        )
        == set()
    )
    assert re.findall(r'\s(?:style|on\w+)="', answer.text) == []


@pytest.mark.parametrize("path", PAGES)
def test_behind_a_prefix_every_address_begins_with_it_once_and_none_has_two_slashes(
    context: WebContext, path: str
) -> None:
    with serving(with_settings(context, web_url="https://studio.example/darkroom/")) as web:
        answer = requests.get(web.url + path, headers=dict(client(web).headers), timeout=10)

    addresses = [each for each in links_of(answer) if not each.startswith(("#", "?"))]
    assert [each for each in addresses if not each.startswith("/darkroom/") or "//" in each] == []
    assert len(addresses) > 8


@pytest.mark.parametrize("path", ["/batches/", "/batches//", "/search/?q=a%20vase"])
def test_an_address_with_a_slash_at_its_end_leads_below_the_prefix_to_the_page(context: WebContext, path: str) -> None:
    with serving(with_settings(context, web_url="https://studio.example/darkroom/")) as web:
        answer = requests.get(web.url + path, timeout=10, allow_redirects=False)

    page, mark, query = path.partition("?")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/darkroom{page.rstrip('/')}{mark}{query}")


@pytest.mark.parametrize("path", ["//evil.example/", "/%5Cevil.example/", "/%5C%5Cevil.example/", "/%09/evil.example/"])
def test_an_address_with_a_slash_at_its_end_leads_to_no_other_host(web: Web, path: str) -> None:
    answer = requests.get(web.url + path, timeout=10, allow_redirects=False)

    assert (answer.status_code, urljoin(web.url, answer.headers["location"]).startswith(web.url)) == (303, True)
    assert not answer.headers["location"].startswith(("//", "/\\"))


def test_an_operation_with_a_slash_at_its_end_keeps_the_prefix_and_a_change_is_not_redirected(
    context: WebContext,
) -> None:
    with serving(with_settings(context, web_url="https://studio.example/darkroom/")) as web:
        asked = requests.get(f"{web.url}/api/v1/batches/", timeout=10, allow_redirects=False)
        changed = requests.post(f"{web.url}/api/v1/batches/", headers=dict(client(web).headers), timeout=10)

    assert (asked.status_code, asked.headers["location"]) == (303, "/darkroom/api/v1/batches")
    assert changed.status_code == 404


def test_a_public_address_may_have_a_path() -> None:
    settings = Settings.model_validate({"DARKROOM_WEB_URL": "https://studio.example/darkroom/"})

    assert settings.web_url == "https://studio.example/darkroom/"


def test_a_file_is_cached_for_ever_under_the_hash_of_its_content_and_under_no_other(web: Web) -> None:
    path = assets.address("console.css")

    found = requests.get(web.url + path, timeout=10)
    other = requests.get(web.url + path.replace(assets.asset("console.css").digest, "0" * 16), timeout=10)

    assert (found.status_code, found.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    assert (found.headers["content-encoding"], found.content) == ("gzip", assets.asset("console.css").content)
    assert other.status_code == 404


def test_files_outside_of_the_list_are_not_served(web: Web) -> None:
    answer = requests.get(web.url + "/static/" + "0" * 16 + "/vendor/README.md", timeout=10)

    assert answer.status_code == 404


@pytest.mark.parametrize("folder", VENDORED, ids=["served", "of tests"])
def test_files_of_others_are_the_listed_ones_byte_for_byte_and_have_their_licence(folder: Path) -> None:
    listed = dict(LISTED.findall((folder / "README.md").read_text(encoding="utf-8")))
    there = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*.*s*")
        if path.suffix in {".js", ".css"}
    }

    assert (listed, bool(list(folder.glob("LICENSE.*")))) == (there, True)


def test_the_navigation_has_only_pages_that_its_reader_may_see(web: Web) -> None:
    answer = get(signed_in(web, "viewer"), web, "/")

    named = set(re.findall(r'<li><a href="([^"]+)"', answer.text))
    assert named <= {entry.path for entry in routes.NAVIGATION if entry.right == "read"}
    assert "Batches" in text_of(answer)
