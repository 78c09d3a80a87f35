"""A sheet with its images, in a zip or in a folder beside it, moved elsewhere and opened without its store."""

import io
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image

from tests.browser.chromium import Browser
from worker.contact_sheet import Card, Header, ReviewCard, ReviewHeader, write_review, write_sheet
from worker.contact_sheet.originals import Originals, beside, packed
from worker.core.rules.states import JobState
from worker.storage.store import Store, open_store

AT = datetime(2026, 11, 22, tzinfo=UTC)
PATH = "batch/mug 100% #1.png"
SIZE = (640, 480)
Write = Callable[[Path, Originals], None]
Place = Callable[[Store, Path, Write], Path]


def contact_sheet(page: Path, images: Originals) -> None:
    """Write a contact sheet of one image."""
    original = images.image(PATH)
    card = Card(line=1, key="mug", prompt="", state=JobState.SUCCEEDED, image=original.read, href=original.href)
    header = Header(
        batch_id="b",
        name="Mugs",
        owner="o",
        submitted_at=AT,
        made_at=AT,
        counts={JobState.SUCCEEDED: 1},
        cap=None,
        held=0,
        reserved=0,
        spent=4,
    )
    write_sheet(page, header, [card])


def review_sheet(page: Path, images: Originals) -> None:
    """Write a review sheet of one image."""
    original = images.image(PATH)
    card = ReviewCard(
        sku="mug",
        render_id="01900000-0000-7000-8000-000000000000",
        prompt="A mug",
        reasons=["new"],
        width=640,
        height=480,
        new=original.read(),
        new_href=original.href,
    )
    write_review(
        page,
        ReviewHeader(
            catalog="mugs", sheet_id="1", made_at=AT, count=1, price=4, reason_max=1_000, decisions_file="d.json"
        ),
        [card],
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with one image."""
    buffer = io.BytesIO()
    Image.new("RGB", SIZE, "teal").save(buffer, "PNG")
    store = open_store(tmp_path / "store")
    store.put_new(PATH, buffer.getvalue(), content_type="image/png")
    return store


def zipped(store: Store, folder: Path, write: Write) -> Path:
    """Return the page of a sheet that was packed (--zip) and unpacked elsewhere."""
    with packed(store, folder / "for you.zip") as (page, images):
        write(page, images)
    with ZipFile(folder / "for you.zip") as archive:
        archive.extractall(folder / "elsewhere")
    return folder / "elsewhere/for you/for you.html"


def full(store: Store, folder: Path, write: Write) -> Path:
    """Return the page of a sheet with its images in a folder beside it (--full), both moved elsewhere."""
    page = folder / "written/for you.html"
    with beside(store, page) as images:
        write(page, images)
    page.parent.rename(folder / "elsewhere")
    return folder / "elsewhere/for you.html"


@pytest.mark.parametrize("place", [zipped, full])
@pytest.mark.parametrize(("write", "link"), [(contact_sheet, ".frame a"), (review_sheet, ".new a")])
def test_a_link_of_a_sheet_that_was_moved_leads_to_the_full_size_image(
    browser: Browser, store: Store, tmp_path: Path, write: Write, link: str, place: Place
) -> None:
    page = place(store, tmp_path, write)
    shutil.rmtree(tmp_path / "store")

    browser.open(page.as_uri())
    browser.open(browser.value(f"document.querySelector('{link}').href"))

    shown = browser.value("[document.images[0].naturalWidth, document.images[0].naturalHeight]")
    assert tuple(shown) == SIZE
