"""What runs of `darkroom archive` leave in the store that were killed or refused before they recorded their files."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text

from tests.archive.conftest import archive, broken, counts, files
from tests.archive.test_erasing import erase, listen
from tests.audit.conftest import superuser
from tests.pipeline.hooked import Crash, Fuse
from tests.pipeline.node import Node
from worker.archive import choosing
from worker.archive.writing import NotAsWritten
from worker.audit.erasing import ErasureBusy
from worker.audit.queries.erasures import Target

__all__ = ["superuser"]


def stored(node: Node) -> set[str]:
    """Return the names of all files of the archive that are in the store."""
    return {each.name for each in (node.folder / "archive").rglob("*.parquet")}


def recorded(node: Node) -> set[str]:
    return {each.file.name for each in files(node)}


def killed(node: Node, effects: int) -> None:
    """Archive until the process ends after this many effects."""
    listen(node, Fuse(effects))
    with pytest.raises(Crash):
        archive(node)
    listen(node, lambda _: None)


def when_written(node: Node, act: Callable[[], object]) -> None:
    """Act once, when the last file of an archive run is in the store and none is recorded."""
    done: list[bool] = []

    def listener(_: str) -> None:
        if not done and any("-result-" in each for each in stored(node)):
            done.append(True)
            act()

    listen(node, listener)


def when_erased(node: Node, act: Callable[[str], None]) -> None:
    """Act at the first effect after texts were erased."""
    listen(node, lambda effect: act(effect) if node.query("SELECT id FROM job WHERE erased_at IS NOT NULL") else None)


@pytest.mark.parametrize("effects", [10, 13, 21, 27])
def test_files_of_a_killed_run_are_removed_a_day_later_by_the_next(effects: int, small: Node) -> None:
    killed(small, effects)
    left = stored(small)
    small.query("UPDATE job SET state = 'in_doubt' WHERE key = 'a' RETURNING id")
    archive(small)
    within_a_day = stored(small)
    small.query("UPDATE unneeded_file SET noted_at = now() - interval '25 hours' RETURNING path")

    archive(small)

    assert left
    assert within_a_day == left
    assert stored(small) == set()
    assert not small.query("SELECT path FROM unneeded_file")


def test_files_of_a_killed_run_are_removed_with_the_erasure_of_their_batch(small: Node) -> None:
    killed(small, 12)
    [batch] = small.query("SELECT id FROM batch")
    [job] = small.query("SELECT id FROM job WHERE key = 'a'")
    left = stored(small)

    removed = erase(small, Target(subject=f"job:{job['id']}", job_id=job["id"])).files
    killed(small, 12)
    again = erase(small, Target(subject=f"batch:{batch['id']}", batch_id=batch["id"])).files

    assert left
    assert removed >= len(left)
    assert again > 0
    assert stored(small) == set()
    archive(small)
    assert stored(small) == recorded(small)
    assert broken(small) == {}


def test_an_erasure_whose_batch_is_locked_says_to_run_it_again_and_then_removes_the_files(
    small: Node, superuser: Engine
) -> None:
    killed(small, 12)
    [job] = small.query("SELECT id FROM job WHERE key = 'a'")
    target = Target(subject=f"job:{job['id']}", job_id=job["id"])
    with superuser.connect() as other:

        def lock(_: str) -> None:
            listen(small, lambda _: None)
            other.execute(text("SELECT id FROM batch FOR UPDATE"))

        when_erased(small, lock)
        with pytest.raises(ErasureBusy, match="run the same command again"):
            erase(small, target)

    removed = erase(small, target).files

    assert removed > 0
    assert stored(small) == set()


def test_files_of_a_killed_run_with_other_content_are_removed_when_the_batch_is_archived(small: Node) -> None:
    killed(small, 12)
    left = stored(small)
    [job] = small.query("SELECT id FROM job WHERE key = 'a'")
    small.query("UPDATE unneeded_file SET path = path RETURNING path")
    listen(small, lambda _: None)
    erase(small, Target(subject=f"job:{job['id']}", job_id=job["id"]))

    archive(small)

    assert left - recorded(small)
    assert stored(small) == recorded(small)
    assert not small.query("SELECT path FROM unneeded_file")


def test_a_batch_that_an_obstacle_keeps_leaves_no_file(small: Node) -> None:
    when_written(small, lambda: small.query("UPDATE job SET state = 'in_doubt' WHERE key = 'a' RETURNING id"))

    [looked_at] = archive(small)

    assert looked_at.obstacle is not None
    assert stored(small) == set()
    assert counts(small)["job"] == 2


def test_an_erasure_while_a_batch_is_archived_leaves_no_text_in_a_file(small: Node) -> None:
    [job] = small.query("SELECT id, prompt FROM job WHERE key = 'a'")
    when_written(small, lambda: erase(small, Target(subject=f"job:{job['id']}", job_id=job["id"])))

    with pytest.raises(NotAsWritten, match="run `darkroom archive` again"):
        archive(small)

    listen(small, lambda _: None)
    assert stored(small) == set()
    archive(small)
    assert counts(small)["job"] == 0
    assert stored(small) == recorded(small)
    assert broken(small) == {}


def test_a_run_whose_files_were_removed_before_they_were_recorded_archives_nothing(small: Node) -> None:
    def remove() -> None:
        for each in (small.folder / "archive").rglob("*-job-*.parquet"):
            each.unlink()

    when_written(small, remove)

    with pytest.raises(NotAsWritten, match="was removed since it was written"):
        archive(small)

    assert counts(small)["job"] == 2
    assert not files(small)


def test_what_a_run_is_writing_is_not_removed_by_another_that_begins(small: Node) -> None:
    when_written(small, lambda: choosing.finish(small.services.database, small.services.store))

    archive(small)

    assert stored(small) == recorded(small)
    assert broken(small) == {}
