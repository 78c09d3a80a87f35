"""A store that is not there, or is another one: nothing fails, nothing is written, and it goes on when it is back."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from tests.cli.conftest import run_here
from tests.fixtures import pictures
from tests.fixtures.provider import Provider
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node
from worker.enqueue import enqueue
from worker.storage.store import StoreUnavailable, WrongStore, open_store

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def used(node: Node) -> Node:
    """Return a node that looks after its store, which holds one image."""
    node.keep({"store": MINUTE})
    node.submit({"key": "first", "prompt": "A chair"})
    node.run_for(20 * SECOND)
    assert node.jobs() == ["succeeded"]
    return node


@contextmanager
def unmounted(folder: Path) -> Iterator[None]:
    """Leave an empty folder in the store's place, as a share does that is not mounted."""
    share = folder.with_name(f"{folder.name}.share")
    folder.rename(share)
    folder.mkdir()
    yield
    assert list(folder.iterdir()) == [], "something was written where the share should be"
    folder.rmdir()
    share.rename(folder)


def test_images_that_are_paid_while_the_share_is_away_are_stored_when_it_is_back(used: Node) -> None:
    used.submit(*({"key": f"k{n}", "prompt": f"A table, number {n}"} for n in range(5)))
    with unmounted(used.folder):
        used.run_for(10 * MINUTE)
        during = used.jobs()

    used.run_for(2 * MINUTE)

    assert during.count("active") == 5
    assert used.jobs() == ["succeeded"] * 6
    assert all((used.folder / row["path"]).is_file() for row in used.query("SELECT path FROM result"))


def test_a_job_whose_reference_cannot_be_read_waits_and_does_not_fail(used: Node, sandbox: Provider) -> None:
    pictures.reference(used.folder, "chair.png")
    used.submit({"key": "new", "prompt": "A chair", "reference": "chair.png"})
    with unmounted(used.folder):
        used.run_for(10 * MINUTE)
        used.clock.advance(DAY)
        used.run_for(10 * MINUTE)
        during = used.failures()

    used.run_for(2 * MINUTE)

    assert during == []
    assert used.jobs() == ["succeeded", "succeeded"]
    assert len(sandbox.tasks()) == 2


def test_nothing_more_is_bought_while_the_store_is_away_and_it_goes_on_by_itself(used: Node) -> None:
    used.submit({"key": "paid", "prompt": "A table"})
    with unmounted(used.folder):
        used.run_for(2 * MINUTE)
        reason = used.pause_reason()
        used.submit({"key": "late", "prompt": "A lamp"})
        used.run_for(HOUR)
        begun = used.query("SELECT count(*) AS n FROM generation")[0]["n"]

    used.run_for(2 * MINUTE)

    assert reason == "store_unavailable"
    assert begun == 2
    assert used.pause_reason() is None
    assert used.jobs() == ["succeeded"] * 3


def test_another_pause_is_neither_replaced_nor_ended(used: Node) -> None:
    used.submit({"key": "paid", "prompt": "A table"})
    used.run_for(SECOND)
    used.query("UPDATE account SET pause_reason = 'operator', paused_at = now() RETURNING 1")
    with unmounted(used.folder):
        used.run_for(10 * MINUTE)
        during = used.pause_reason()

    used.run_for(2 * MINUTE)

    assert (during, used.pause_reason()) == ("operator", "operator")


def test_a_store_that_is_away_is_an_alarm_with_the_identity_that_is_expected(used: Node) -> None:
    expected = json.loads((used.folder / ".darkroom-store").read_text())["id"]
    used.submit({"key": "paid", "prompt": "A table"})
    with unmounted(used.folder), capture_logs() as logs:
        used.run_for(20 * MINUTE)

    said = [each for each in logs if each["event"] == "store.unavailable"]
    assert expected in said[0]["error"]
    assert "darkroom store adopt" in said[0]["error"]
    assert [each["key"] for each in logs if each["event"] == "result.long_not_downloaded"] == ["paid"]


def test_the_status_of_a_batch_says_that_it_waits_for_the_store(used: Node, database_url: str, tmp_path: Path) -> None:
    used.submit({"key": "paid", "prompt": "A table"}, token="t")
    settings = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(used.folder)}
    with unmounted(used.folder):
        used.run_for(20 * SECOND)
        early = json.loads(run_here(tmp_path, settings, "status", "t", "--json").stdout)
        used.run_for(2 * MINUTE)
        late = json.loads(run_here(tmp_path, settings, "status", "t", "--json").stdout)

    assert "store_unavailable: what is at" in early["waiting_for"]["reason"]
    assert late["waiting_for"]["reason"].startswith("account paused: store_unavailable")


@pytest.mark.parametrize("kind", ["folder", "read-only", "other", "marker", "damaged", "file"])
def test_whatever_is_wrong_with_the_store_nothing_fails_and_it_goes_on(used: Node, kind: str) -> None:
    used.submit({"key": "paid", "prompt": "A table"})
    kept = used.folder.with_name(f"{used.folder.name}.kept")
    shutil.copytree(used.folder, kept)
    _spoil(used.folder, kind)
    used.run_for(5 * MINUTE)
    during = used.jobs()
    _remove(used.folder)
    kept.rename(used.folder)

    used.run_for(2 * MINUTE)

    assert during == ["succeeded", "active"]
    assert used.jobs() == ["succeeded", "succeeded"]
    assert (used.folder / used.query("SELECT path FROM result ORDER BY stored_at DESC")[0]["path"]).is_file()


def _remove(folder: Path) -> None:
    folder.unlink() if folder.is_file() or folder.is_symlink() else shutil.rmtree(folder, ignore_errors=True)


def _spoil(folder: Path, kind: str) -> None:
    marker = folder / ".darkroom-store"
    if kind == "marker":
        marker.unlink()
    elif kind == "damaged":
        marker.write_text("{")
    elif kind == "other":
        marker.write_text(json.dumps({"format": 1, "id": str(uuid4())}))
    else:
        shutil.rmtree(folder)
        if kind == "file":
            folder.write_text("")
        if kind == "read-only":
            # A folder of the kernel's in which not even root makes files.
            folder.symlink_to("/proc/self/task")


def test_an_image_whose_address_died_with_the_store_away_ends_as_paid_and_lost(used: Node, sandbox: Provider) -> None:
    used.submit({"key": "paid", "prompt": "A table"})
    with unmounted(used.folder):
        used.run_for(10 * MINUTE)
        used.clock.advance(DAY)
        used.run_for(10 * MINUTE)
        during = used.jobs()
    sandbox.set(result_gone_status=404, result_ttl_s=0.000001)

    used.run_for(HOUR)

    assert during == ["succeeded", "active"]
    assert used.failures() == ["result_gone"]
    assert len(sandbox.tasks()) == 2


def test_a_store_that_has_moved_with_its_identity_is_the_same(used: Node, node_for: NodeFor, folder: Path) -> None:
    moved = folder.with_name(f"{folder.name}.moved")
    shutil.copytree(folder, moved)
    shutil.rmtree(folder)
    folder.symlink_to(moved)
    again = node_for()
    again.submit({"key": "second", "prompt": "A lamp"})

    again.run_for(20 * SECOND)

    assert again.jobs() == ["succeeded", "succeeded"]
    folder.unlink()
    moved.rename(folder)


def test_a_database_from_before_adopts_the_store_that_has_its_images(used: Node, node_for: NodeFor) -> None:
    _forget(used)
    again = node_for()
    again.submit({"key": "second", "prompt": "A lamp"})

    again.run_for(20 * SECOND)

    assert again.jobs() == ["succeeded", "succeeded"]
    assert _identity(again) == json.loads((again.folder / ".darkroom-store").read_text())["id"]


def test_a_database_from_before_adopts_no_empty_folder(used: Node, node_for: NodeFor) -> None:
    _forget(used)
    again = node_for()
    again.submit({"key": "second", "prompt": "A lamp"})
    with unmounted(used.folder):
        again.run_for(20 * SECOND)

    assert again.jobs() == ["succeeded", "active"]
    assert _identity(again) is None


def test_references_that_were_put_into_another_store_are_refused_with_nothing_written(
    used: Node, tmp_path: Path
) -> None:
    pictures.reference(tmp_path, "chair.png")
    elsewhere = open_store(tmp_path / "elsewhere")

    with (
        pytest.raises(StoreUnavailable, match="DARKROOM_STORE of the nodes"),
        used.services.database.transaction() as tx,
    ):
        enqueue(tx, {}, [{"prompt": "A lamp", "reference": "chair.png"}], base=tmp_path, store=elsewhere)

    assert used.jobs() == ["succeeded"]


def test_a_producer_writes_nothing_where_the_share_is_not_mounted(
    used: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKROOM_STORE", str(used.folder))
    pictures.reference(tmp_path, "chair.png")
    request = {"prompt": "A lamp", "reference": "chair.png"}

    with unmounted(used.folder), pytest.raises(WrongStore), used.services.database.transaction() as tx:
        enqueue(tx, {}, [request], base=tmp_path)

    assert used.jobs() == ["succeeded"]


def test_two_databases_may_share_a_store(used: Node) -> None:
    store = open_store(used.folder)

    store.ready()

    assert str(store.identity) == _identity(used)


def test_a_reference_that_is_damaged_in_the_store_is_not_sent(used: Node) -> None:
    sha256 = pictures.reference(used.folder, "chair.png")
    used.submit({"key": "b", "prompt": "A lamp", "reference": "chair.png"})
    (used.folder / "references" / sha256).write_bytes(b"damaged")

    used.run_for(20 * SECOND)

    assert used.failures() == ["reference_damaged"]
    assert used.query("SELECT 1 FROM call WHERE kind = 'upload'") == []


def test_a_reference_that_is_damaged_in_the_store_is_repaired_by_the_next_batch_that_has_it(used: Node) -> None:
    sha256 = pictures.reference(used.folder, "chair.png")
    used.submit({"key": "b", "prompt": "A lamp", "reference": "chair.png"})
    (used.folder / "references" / sha256).write_bytes(b"damaged")

    used.submit({"key": "c", "prompt": "A table", "reference": "chair.png"})
    used.run_for(MINUTE)

    assert used.jobs() == ["succeeded"] * 3


def _forget(node: Node) -> None:
    """Leave database and store as the release before left them."""
    node.query("UPDATE account SET store_id = NULL, store_place = NULL RETURNING 1")
    (node.folder / ".darkroom-store").unlink()


def _identity(node: Node) -> str | None:
    found: Any = node.query("SELECT store_id FROM account")[0]["store_id"]
    return None if found is None else str(found)
