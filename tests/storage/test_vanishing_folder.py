"""A folder that goes away while it is used receives nothing in its place, and leaves nothing half written for long."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fixtures import disks
from worker.intake.request_spool import Spool
from worker.intake.rules.request import JobRequest
from worker.storage.spool import SWEPT_EVERY_S, SpoolFolder
from worker.storage.store import NotStored, Put, SpoolUnavailable, StoreUnavailable, WrongStore, open_store

PNG = "image/png"
OLD = 2 * 3600


def test_a_write_during_which_the_share_goes_away_leaves_not_a_byte_where_it_was(tmp_path: Path) -> None:
    """The source is a pipe, so that the write stands still with its first half done."""
    place, share, pipe = tmp_path / "store", tmp_path / "share", tmp_path / "pipe"
    store = open_store(place)
    store.ready()
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(store.put_new, "b/a.png", pipe, content_type=PNG)
        with pipe.open("wb") as feed:
            feed.write(b"first half, ")
            feed.flush()
            place.rename(share)
            place.mkdir()
            feed.write(b"second half")

        assert written.result(timeout=10) is Put.WRITTEN

    assert list(place.iterdir()) == []
    assert (share / "b" / "a.png").read_bytes() == b"first half, second half"


def test_a_folder_whose_share_is_gone_has_not_lost_a_reference(tmp_path: Path) -> None:
    place = tmp_path / "store"
    store = open_store(place)
    store.put_new("references/1", b"content", content_type=PNG)
    place.rename(tmp_path / "share")
    place.mkdir()

    with pytest.raises(WrongStore, match="it has no identity"):
        store.read("references/1")
    with pytest.raises(WrongStore):
        store.put_new("references/2", b"content", content_type=PNG)
    assert list(place.iterdir()) == []


def test_a_name_that_is_lost_in_the_right_store_is_not_stored(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.put_new("references/1", b"content", content_type=PNG)
    (tmp_path / "references" / "1").unlink()

    with pytest.raises(NotStored):
        store.read("references/1")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 1}', '{"format": 1, "id": "x"}', '{"format": 9, "id": "x"}']
)
def test_a_damaged_identity_is_an_unavailable_store(tmp_path: Path, content: str) -> None:
    store = open_store(tmp_path)
    store.ready()
    (tmp_path / ".darkroom-store").write_text(content)

    with pytest.raises(StoreUnavailable):
        store.put_new("a.png", b"content", content_type=PNG)


def test_processes_that_use_a_store_first_at_once_agree_on_its_identity(tmp_path: Path) -> None:
    stores = [open_store(tmp_path / "store") for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda store: store.ready(), stores))

    assert len({store.identity for store in stores}) == 1


def test_what_killed_processes_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store", spool=SpoolFolder(tmp_path / "spool"))
    store.ready()
    left = tmp_path / "store" / ".darkroom-writing-1", tmp_path / "spool" / "darkroom-spool-1" / "image"
    young = tmp_path / "store" / ".darkroom-writing-2", tmp_path / "spool" / "darkroom-spool-2" / "image"
    for path in (*left, *young):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    for path in (left[0], left[1].parent):
        long_ago = path.stat().st_mtime - OLD
        os.utime(path, (long_ago, long_ago))

    store.sweep()

    assert [path.exists() for path in (*left, *young)] == [False, False, True, True]


def test_what_killed_processes_left_is_removed_once_an_hour_while_others_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path / "store", spool=SpoolFolder(tmp_path / "spool"))
    store.ready()
    store.sweep()
    left = tmp_path / "store" / ".darkroom-writing-1", tmp_path / "spool" / "darkroom-spool-1"
    left[0].write_bytes(b"half")
    left[1].mkdir()
    for path in left:
        os.utime(path, (path.stat().st_mtime - OLD,) * 2)

    store.sweep_if_due()
    too_early = [path.exists() for path in left]
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + SWEPT_EVERY_S + 1)
    with store.spool.scratch():
        spool_swept = not left[1].exists()
    store.sweep_if_due()

    assert (too_early, spool_swept) == ([True, True], True)
    assert not left[0].exists()


def test_a_full_disk_is_an_unavailable_store_with_the_reason(tmp_path: Path) -> None:
    with disks.small(tmp_path / "disk", megabytes=20) as disk:
        store = open_store(disk / "store")
        store.ready()
        disks.fill(disk)

        with pytest.raises(StoreUnavailable, match="No space left"):
            store.put_new("a.png", bytes(1 << 20), content_type=PNG)
        with pytest.raises(StoreUnavailable):
            store.check()
        disks.empty(disk)
        store.check()


def test_a_manifest_that_the_disk_cannot_hold_waits_for_the_disk(tmp_path: Path) -> None:
    """A producer's message would otherwise be refused for a fault of ours."""
    request = JobRequest(line=1, key="k", prompt="x" * 4000, model="qwen-image", params={}, references=(), metadata={})
    with disks.small(tmp_path / "disk", megabytes=1) as disk:
        spool = Spool(SpoolFolder(disk))

        with pytest.raises(SpoolUnavailable, match="No space left on device; free space there, or set DARKROOM_SPOOL"):
            _fill(spool, request)


def _fill(spool: Spool, request: JobRequest) -> None:
    for _ in range(5_000):
        spool.add(request, ())
