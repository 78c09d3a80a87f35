"""A sheet that was packed with its images, unpacked elsewhere and opened in a real browser without its store."""

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
from worker.contact_sheet.originals import Originals, packed
from worker.core.rules.job import JobState
from worker.storage.store import open_store

AT = datetime(2026, 11, 22, tzinfo=UTC)
PATH = "batch/mug 100% #1.png"
SIZE = (640, 480)
Write = Callable[[Path, Originals], None]


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


@pytest.mark.parametrize(("write", "link"), [(contact_sheet, ".frame a"), (review_sheet, ".new a")])
def test_a_link_of_an_unpacked_sheet_leads_to_the_full_size_image(
    browser: Browser, tmp_path: Path, write: Write, link: str
) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", SIZE, "teal").save(buffer, "PNG")
    store = open_store(tmp_path / "store")
    store.put_new(PATH, buffer.getvalue(), content_type="image/png")
    with packed(store, tmp_path / "for you.zip") as (page, images):
        write(page, images)
    shutil.rmtree(tmp_path / "store")
    with ZipFile(tmp_path / "for you.zip") as archive:
        archive.extractall(tmp_path / "elsewhere")

    browser.open((tmp_path / "elsewhere/for you/for you.html").as_uri())
    browser.open(browser.value(f"document.querySelector('{link}').href"))

    shown = browser.value("[document.images[0].naturalWidth, document.images[0].naturalHeight]")
    assert tuple(shown) == SIZE
