import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from worker.storage.store import Conflicting, NotStored, Put, Store, StoreUnavailable, open_store

PNG = "image/png"


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return open_store({"folder": str(tmp_path / "store"), "memory": "memory://"}[request.param])


def test_what_was_put_can_be_read_again(store: Store) -> None:
    put = store.put_new("batch/a.png", b"content", content_type=PNG)

    assert put is Put.WRITTEN
    assert (store.read("batch/a.png"), store.size("batch/a.png")) == (b"content", 7)


def test_a_name_is_written_once(store: Store) -> None:
    store.put_new("batch/a.png", b"first", content_type=PNG)

    with pytest.raises(Conflicting):
        store.put_new("batch/a.png", b"second", content_type=PNG)

    assert store.read("batch/a.png") == b"first"


def test_the_same_bytes_are_there_already(store: Store) -> None:
    store.put_new("batch/a.png", b"content", content_type=PNG)

    assert store.put_new("batch/a.png", b"content", content_type=PNG) is Put.ALREADY_THERE


def test_other_bytes_of_the_same_size_are_told_apart(store: Store) -> None:
    store.put_new("batch/a.png", b"content", content_type=PNG)

    with pytest.raises(Conflicting):
        store.put_new("batch/a.png", b"CONTENT", content_type=PNG)


def test_a_file_can_be_put(store: Store, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"content")

    store.put_new("batch/a.png", tmp_path / "source", content_type=PNG)

    assert store.read("batch/a.png") == b"content"


def test_what_was_never_put_is_not_stored(store: Store) -> None:
    assert not store.exists("batch/a.png")
    with pytest.raises(NotStored, match=r"nothing is stored as batch/a\.png"):
        store.read("batch/a.png")
    with pytest.raises(NotStored):
        store.size("batch/a.png")


@pytest.mark.parametrize("path", ["", "/etc/x", "../x", "a/../x", "a//b", "a/", ".", "a\\b", "a\x00b", "a\nb"])
def test_a_name_that_leads_out_of_the_store_is_refused(store: Store, path: str) -> None:
    with pytest.raises(ValueError, match="is not a name below the store"):
        store.put_new(path, b"content", content_type=PNG)


def test_names_may_have_blanks_and_any_script(store: Store) -> None:
    store.put_new("秋 2026/茶碗 #1 100%.png", b"content", content_type=PNG)

    assert store.read("秋 2026/茶碗 #1 100%.png") == b"content"


def test_a_check_writes_one_name_however_often_it_is_made(tmp_path: Path) -> None:
    open_store(tmp_path / "store").check()
    open_store(tmp_path / "store").check()

    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == [".darkroom-probe", ".darkroom-store"]


def test_of_two_writers_one_wins_and_its_bytes_are_whole(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    barrier = Barrier(2)

    def write(content: bytes) -> bytes | None:
        barrier.wait()
        try:
            store.put_new("a.png", content, content_type=PNG)
        except Conflicting:
            return None
        return content

    with ThreadPoolExecutor() as pool:
        won = set(pool.map(write, [b"1" * 3_000_000, b"2" * 3_000_000]))

    assert won == {store.read("a.png"), None}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".darkroom-store", "a.png"]


WRITER = """
import resource, signal, sys
from worker.storage.store import StoreUnavailable, open_store

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    open_store(sys.argv[1]).put_new("batch/a.png", bytes(3_000_000), content_type="image/png")
except StoreUnavailable:
    print("failed")
"""


def test_a_write_that_fails_midway_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    """The process may write a third of the image: as on a disk that is full."""
    done = subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], capture_output=True, text=True, check=True)

    store = open_store(tmp_path)
    assert done.stdout == "failed\n"
    assert not store.exists("batch/a.png")
    assert store.put_new("batch/a.png", b"whole", content_type=PNG)
    assert store.read("batch/a.png") == b"whole"


def test_a_reader_of_a_name_sees_nothing_or_the_whole(tmp_path: Path) -> None:
    store, sizes = open_store(tmp_path), set[int]()
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(store.put_new, "a.png", bytes(30_000_000), content_type=PNG)

        sizes.update(_size(tmp_path / "a.png") for _ in iter(written.done, True))

    assert sizes <= {0, 30_000_000}
    assert _size(tmp_path / "a.png") == 30_000_000


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_the_location_in_a_folder_is_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("results")
    store.put_new("batch/a.png", b"content", content_type=PNG)

    assert store.location("batch/a.png") == str(tmp_path / "results" / "batch" / "a.png")
    assert Path(store.location("batch/a.png")).read_bytes() == b"content"


def test_a_file_url_names_a_folder(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/my%20store")

    assert store.location("a.png") == str(tmp_path / "my store" / "a.png")


@pytest.mark.parametrize("url", ["ftp://host/x", "http://host/x", "s3://", "s3:///x"])
def test_a_place_that_cannot_be_a_store_is_refused_with_the_setting_to_change(url: str) -> None:
    with pytest.raises(ValueError, match="set DARKROOM_STORE to"):
        open_store(url)


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StoreUnavailable, match=r"the store .*file/store failed: "):
        open_store(tmp_path / "file" / "store").ready()
