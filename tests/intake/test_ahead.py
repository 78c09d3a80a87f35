"""References are examined several at once; what comes of it is what one after the other gives."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Barrier

import pytest

from tests.fixtures import pictures
from worker.core.rules.fault import Fault
from worker.intake.manifest import Row
from worker.intake.prepare import Prepared, prepare
from worker.intake.reference_store import AHEAD, AT_ONCE, ReferenceStore
from worker.storage.folder import Folder
from worker.storage.store import Put, Store, open_store


class Meeting(Store):
    """A store in which each write waits until as many others have come as may be under way at once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Folder(folder))
        self._barrier = Barrier(AT_ONCE)

    def put_new(self, path: str, source: Path | bytes, *, content_type: str) -> Put:
        self._barrier.wait(timeout=10)
        return super().put_new(path, source, content_type=content_type)


class Counting(Store):
    """A store that counts what is written to it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Folder(folder))
        self.writes = 0

    def put_new(self, path: str, source: Path | bytes, *, content_type: str) -> Put:
        self.writes += 1
        return super().put_new(path, source, content_type=content_type)


def rows(references: Iterable[str]) -> Iterator[Row]:
    return (
        Row(line=line, raw={"prompt": "A chair", "reference": reference})
        for line, reference in enumerate(references, start=1)
    )


def prepared(folder: Path, references: Iterable[str], store: Store | None = None) -> Prepared:
    return prepare(rows(references), base=folder, reference_store=ReferenceStore(store or open_store(folder / "store")))


def test_references_are_examined_as_many_at_once_as_is_permitted(tmp_path: Path) -> None:
    names = [f"{n}.png" for n in range(AT_ONCE * 3)]
    for shade, name in enumerate(names):
        pictures.reference(tmp_path, name, shade=shade)

    made = prepared(tmp_path, names, Meeting(tmp_path / "store"))

    assert len(made.references) == len(names)


def test_faults_of_references_are_in_the_order_of_their_lines(tmp_path: Path) -> None:
    pictures.reference(tmp_path, "good.png")
    names = [f"{n}.png" for n in range(3 * AHEAD)]
    for name in names:
        (tmp_path / name).write_bytes(b"no image")

    made = prepared(tmp_path, ["good.png", *names, "good.png"])

    assert [fault.line for fault in made.faults] == list(range(2, 3 * AHEAD + 2))
    assert made.jobs == 2


def test_a_line_of_two_sources_with_the_same_bytes_is_named_after_the_last(tmp_path: Path) -> None:
    sha256 = pictures.reference(tmp_path, "first.png")
    pictures.reference(tmp_path, "second.png")

    made = prepared(tmp_path, ["first.png", "second.png", "first.png"])

    assert made.references[sha256].name == "second.png"
    assert {name: how.line for name, how in made.referring.items()} == {sha256: 1}


def test_a_source_that_many_lines_name_is_examined_once(tmp_path: Path) -> None:
    pictures.reference(tmp_path, "one.png")
    store = Counting(tmp_path / "store")

    prepared(tmp_path, ["one.png"] * 3 * AHEAD, store)

    assert store.writes == 1


def test_a_manifest_that_breaks_off_leaves_no_thread_waiting(tmp_path: Path) -> None:
    pictures.reference(tmp_path, "one.png")

    with pytest.raises(LookupError, match="gone"):
        prepare(_broken(), base=tmp_path, reference_store=ReferenceStore(None))


def _broken() -> Iterator[Row | Fault]:
    yield from rows(["one.png"])
    raise LookupError("gone")
