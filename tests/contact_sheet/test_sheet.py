import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from worker.contact_sheet import Card, Header, write_sheet
from worker.contact_sheet.page import AT_ONCE
from worker.contact_sheet.template import thumbnail
from worker.core.rules.states import JobState
from worker.storage.thumbnails import LONGEST

AT = datetime(2026, 5, 11, 8, 30, tzinfo=UTC)
HEADER = Header(
    batch_id="b-1",
    name="Spring <b>catalog</b>",
    owner="catalog-team",
    submitted_at=AT,
    made_at=AT,
    counts={JobState.SUCCEEDED: 1, JobState.FAILED: 1},
    cap=1200,
    held=0,
    reserved=4,
    spent=1044,
)


def image_bytes(form: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (1024, 576)) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, form)
    return buffer.getvalue()


def card(**changes: object) -> Card:
    if "image" in changes:
        changes["image"] = partial(bytes, changes["image"])
    base: dict[str, object] = {"line": 3, "key": "shoe-3", "prompt": "a shoe", "state": JobState.SUCCEEDED}
    return Card(**(base | changes))  # type: ignore[arg-type]  # the table of changes is untyped


def page(folder: Path, *cards: Card) -> str:
    write_sheet(folder / "sheet.html", HEADER, cards)
    return (folder / "sheet.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Collects every tag and every address that the browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "srcset", "data", "poster"}]


@pytest.mark.parametrize("field", ["prompt", "key", "error", "provider_id", "reference", "image_size"])
def test_text_from_outside_is_shown_and_never_run(tmp_path: Path, field: str) -> None:
    text = page(tmp_path, card(**{field: "\"'><script>alert(1)</script>"}))

    assert Tags(text).names.count("script") == 1
    assert "&lt;script&gt;alert(1)" in text


def test_the_page_fetches_nothing_from_outside(tmp_path: Path) -> None:
    text = page(tmp_path, card(image=image_bytes()))

    tags = Tags(text)

    assert "link" not in tags.names
    assert "url(" not in text
    assert all(source.startswith("data:image/jpeg;base64,") for source in tags.sources)
    assert len(tags.sources) == 1


@pytest.mark.parametrize(
    ("href", "is_link"),
    [
        ("a/b.png", True),
        ("https://example.org/a.png", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
    ],
)
def test_a_thumbnail_links_only_to_files_and_pages(tmp_path: Path, href: str, is_link: bool) -> None:  # noqa: FBT001
    text = page(tmp_path, card(image=image_bytes(), href=href))

    assert ("<a href=" in text) is is_link


def test_a_card_shows_all_that_is_known_of_the_job(tmp_path: Path) -> None:
    text = page(
        tmp_path,
        card(
            state=JobState.IN_DOUBT,
            width=768,
            height=1024,
            reserved=4,
            final=0,
            provider_id="task_9",
            error="lost",
        ),
    )

    body = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text.split("<main>")[1]))

    assert "in doubt" in body
    assert "shoe-3 line 3 lost a shoe 768 \u00d7 1024 0 of 4 credits task_9" in re.sub(r" +", " ", body)


def test_the_header_shows_the_counts_and_the_credits(tmp_path: Path) -> None:
    text = page(tmp_path)

    header = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text.split("<main>")[0].split("<header>")[1]))

    assert "jobs 2 succeeded 1 failed 1 credits spent 1,044 reserved 4 held 0 cap 1,200" in header
    assert "2026-05-11 08:30 UTC" in header


@pytest.mark.parametrize(
    ("form", "mode"),
    [("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16"), ("JPEG", "CMYK"), ("WEBP", "RGB")],
)
def test_a_thumbnail_is_a_small_picture_of_the_same_shape(form: str, mode: str) -> None:
    address = thumbnail(image_bytes(form, mode))

    assert address is not None
    assert len(address) < 20_000
    assert address.startswith("data:image/jpeg;base64,")


def test_a_thumbnail_is_never_larger_than_its_longest_side() -> None:
    address = thumbnail(image_bytes(size=(576, 1024)))

    assert address is not None
    assert _size_of(address) == (LONGEST * 576 // 1024, LONGEST)


def _size_of(address: str) -> tuple[int, int]:
    from base64 import b64decode  # noqa: PLC0415

    return Image.open(io.BytesIO(b64decode(address.split(",")[1]))).size


@pytest.mark.parametrize("data", [b"not an image", image_bytes()[:60], b"GIF89a" + bytes(40)])
def test_an_image_that_cannot_be_read_says_so_on_its_card(tmp_path: Path, data: bytes) -> None:
    text = page(tmp_path, card(image=data))

    assert "image cannot be shown" in text


def test_a_sheet_that_breaks_off_leaves_the_older_one_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "sheet.html"
    path.write_text("older", encoding="utf-8")

    with pytest.raises(LookupError, match="gone"):
        write_sheet(path, HEADER, _broken())

    assert path.read_text(encoding="utf-8") == "older"
    assert [entry.name for entry in tmp_path.iterdir()] == ["sheet.html"]


def _broken() -> Iterator[Card]:
    yield card()
    raise LookupError("gone")


def test_few_images_are_in_memory_at_a_time(tmp_path: Path) -> None:
    """Each may hold megabytes, so no more cards are asked for than threads can be busy with, and as many again."""
    ahead: list[int] = []

    write_sheet(tmp_path / "sheet.html", HEADER, _watched(ahead))

    assert max(ahead) <= 2 * AT_ONCE + 1


def _watched(ahead: list[int]) -> Iterator[Card]:
    drawn: list[int] = []
    for number in range(10 * AT_ONCE):
        ahead.append(number - len(drawn))
        yield replace(card(), image=lambda: drawn.append(1))
