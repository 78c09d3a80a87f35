"""What tests read out of a page: its text, its links, and the cells of its tables."""

import re
from html.parser import HTMLParser

import requests

from tests.web.serving import Web

_SILENT = frozenset({"script", "style", "option", "title"})


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in _SILENT

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in _SILENT

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)


def text_of(answer: requests.Response) -> str:
    """Return what a reader sees, every space once."""
    reader = _Text()
    reader.feed(answer.text)
    return " ".join(" ".join(reader.words).split())


def links_of(answer: requests.Response) -> list[str]:
    """Return every address that the page names."""
    return re.findall(r'(?:href|src|action|hx-get)="([^"]*)"', answer.text)


def names_of(answer: requests.Response) -> list[str]:
    """Return the names of the rows of the page's table, in its order."""
    return re.findall(r'class="name"[^>]*>([^<]*)<', answer.text)


def signed_in(web: Web, *roles: str) -> requests.Session:
    """Sign a user with these roles in, an administrator by default."""
    return web.browser(web.user("-".join(roles) or "ann", *(roles or ("admin",))))


def get(browser: requests.Session, web: Web, path: str, status: int = 200, **options: object) -> requests.Response:
    """Return a page that answers with this status."""
    answer = browser.get(web.url + path, timeout=30, allow_redirects=False, **options)  # type: ignore[arg-type]
    assert answer.status_code == status, answer.text
    return answer
