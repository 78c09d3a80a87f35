"""Full-size images travel with a sheet: beside the page or in a zip file, whole or not at all."""

from itertools import islice
from pathlib import Path
from zipfile import ZipFile

import pytest

from worker.contact_sheet import originals
from worker.storage.store import Store, open_store

IMAGES = {"batch/a.png": b"first" * 5_000, "batch/b c.png": b"second" * 5_000, "other/a.png": b"third" * 5_000}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store of three images, two of which have one name."""
    made = open_store(tmp_path / "store")
    for path, content in IMAGES.items():
        made.put_new(path, content, content_type="image/png")
    return made


def files(folder: Path) -> set[str]:
    """Return the names of everything in a folder but the store."""
    return {path.name for path in folder.iterdir()} - {"store"}


def test_copies_of_one_name_do_not_meet(store: Store, tmp_path: Path) -> None:
    with originals.beside(store, tmp_path / "sheet.html") as images:
        for path in IMAGES:
            images.image(path).read()

    [folder] = tmp_path.glob("sheet-images-*")
    assert {path.name: path.read_bytes() for path in folder.glob("*.png")} == {
        "00001-a.png": IMAGES["batch/a.png"],
        "00002-b c.png": IMAGES["batch/b c.png"],
        "00003-a.png": IMAGES["other/a.png"],
    }


def test_an_image_that_the_store_has_lost_is_not_copied(store: Store, tmp_path: Path) -> None:
    with originals.packed(store, tmp_path / "sheet.zip") as (page, images):
        page.write_text("page")
        content = images.image("batch/lost.png").read()

    assert content is None
    assert ZipFile(tmp_path / "sheet.zip").namelist() == ["sheet/sheet.html"]


def pack(store: Store, archive: Path, failure: BaseException) -> None:
    """Begin to pack a page and an image, and fail."""
    with originals.packed(store, archive) as (page, images):
        page.write_text("half of a page")
        images.image("batch/a.png").read()
        raise failure


def copy(store: Store, page: Path, failure: BaseException) -> None:
    """Begin to copy images beside a page, and fail."""
    with originals.beside(store, page) as images:
        images.image("batch/a.png").read()
        raise failure


def test_a_zip_file_that_fails_leaves_the_older_one_and_nothing_else(store: Store, tmp_path: Path) -> None:
    (tmp_path / "sheet.zip").write_bytes(b"older")

    with pytest.raises(KeyboardInterrupt):
        pack(store, tmp_path / "sheet.zip", KeyboardInterrupt())

    assert files(tmp_path) == {"sheet.zip"}
    assert (tmp_path / "sheet.zip").read_bytes() == b"older"


def test_a_page_that_fails_leaves_the_images_of_the_older_one(store: Store, tmp_path: Path) -> None:
    with originals.beside(store, tmp_path / "sheet.html") as images:
        images.image("batch/a.png").read()
    before = files(tmp_path)

    with pytest.raises(OSError, match="full"):
        copy(store, tmp_path / "sheet.html", OSError(28, "the disk is full"))

    assert files(tmp_path) == before


def test_a_new_sheet_takes_the_place_of_its_older_images_and_of_no_others(store: Store, tmp_path: Path) -> None:
    (tmp_path / "sheet-images-mine").mkdir()
    for page in ("sheet.html", "sheet-images-other.html", "sheet.html"):
        with originals.beside(store, tmp_path / page) as images:
            images.image("batch/a.png").read()

    folders = files(tmp_path)

    assert len(folders) == 3
    assert "sheet-images-mine" in folders


def test_a_zip_file_is_written_one_image_at_a_time(store: Store, tmp_path: Path) -> None:
    """Every image is in the unfinished file before the next one is asked for, so none has to be kept."""
    with originals.packed(store, tmp_path / "sheet.zip") as (page, images):
        sizes = []
        for path in islice(IMAGES, 2):
            images.image(path).read()
            [part] = [each for each in tmp_path.iterdir() if each.is_file()]
            sizes.append(part.stat().st_size)
        page.write_text("page")

    assert 0 < sizes[0] < sizes[1]
