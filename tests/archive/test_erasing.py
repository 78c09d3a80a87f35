"""Texts are erased inside archived batches, and the books are proved as before."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.archive.conftest import archive, broken, files, reader, seal, verified
from tests.audit.conftest import superuser
from tests.fixtures import pictures
from tests.fixtures.provider import Provider
from tests.pipeline import node as nodes
from tests.pipeline.hooked import Crash, Fuse
from tests.pipeline.node import Clock, Node
from worker.archive import parquet, writing
from worker.archive.reading import ArchiveDamaged
from worker.audit import erasing
from worker.audit.erasing import Erased
from worker.audit.evidence import printed
from worker.audit.queries.erasures import Target
from worker.audit.reports import ReportQuery
from worker.audit.rules.reporting import Format, ReportName
from worker.ledger.second_person import SecondPersonNeeded

__all__ = ["superuser"]

SECRET = "Portrait of Wilhelmina Zyx"


@pytest.fixture
def shelved(database_url: str, tmp_path: Path, sandbox: Provider) -> Iterator[Node]:
    """Yield a node with two archived batches of the same sealed period: portraits, of which one failed, and chairs."""
    made = nodes.make(database_url, tmp_path, Clock(), base_url=sandbox.base_url, key=sandbox.key)
    pictures.reference(made.folder, "source.png", shade=7)
    pictures.reference(made.folder, "chair.png", shade=9)
    sandbox.script(("create", 1, "fail_generation"), ("create", 2, "fail_generation"))
    made.submit(
        {"key": "failed", "prompt": f"{SECRET}, failing", "note": SECRET},
        {"key": "face", "prompt": SECRET, "reference": "source.png", "note": SECRET},
        {"key": "both", "prompt": f"{SECRET} on a chair", "reference": "chair.png"},
        name="portraits",
    )
    made.submit({"key": "chair", "prompt": "A chair", "reference": "chair.png"}, name="chairs")
    made.run_until_quiet()
    for _ in range(2):
        seal(made)
    archive(made)
    yield made
    made.services.client.close()
    made.services.database.close()


def batch(node: Node) -> Target:
    """Return the portraits as a target."""
    batch_id = node.query("SELECT id FROM batch WHERE name = 'portraits'")[0]["id"]
    return Target(subject=f"batch:{batch_id}", batch_id=batch_id)


def job(node: Node, key: str) -> Target:
    """Return an archived job as a target."""
    job_id = column(node, "id")[key]
    return Target(subject=f"job:{job_id}", job_id=job_id)


def erase(node: Node, target: Target, *, by: str = "ann", above: int | None = None) -> Erased:
    author = node.author("request 12")
    author = type(author)(actor=by, reason=author.reason, now=author.now, new_id=author.new_id)
    return erasing.erase(node.services.database, node.services.store, target, author, approve_above=above)


def listen(node: Node, listener: Callable[[str], None]) -> None:
    node.services.database.listener = listener  # type: ignore[attr-defined]
    node.services.store.listener = listener  # type: ignore[attr-defined]


def column(node: Node, name: str) -> dict[str, Any]:
    """Return a column of each archived job by its key, as the files that are recorded have it."""
    found = {}
    for stored in files(node):
        if "-job-" in stored.path:
            columns, rows = parquet.decode(stored.file.read_bytes())
            names = [each.name for each in columns]
            found.update({row[names.index("key")]: row[names.index(name)] for row in rows})
    return found


def prompts(node: Node) -> dict[str, str]:
    """Return the prompt of each archived job by its key."""
    return column(node, "prompt")


def in_store(node: Node, of: str) -> set[str]:
    """Return the files of the archive in which the text is, whether they are recorded or not."""
    found = set()
    for each in (node.folder / "archive").rglob("*.parquet"):
        _, rows = parquet.decode(each.read_bytes())
        if any(
            of in str(value) or of.encode() in (value if isinstance(value, bytes) else b"")
            for row in rows
            for value in row
        ):
            found.add(each.name)
    return found


def exported(node: Node) -> bytes:
    asked = ReportQuery(report=ReportName.EXPORT, as_of=node.query("SELECT max(sealed_at) AS at FROM seal")[0]["at"])
    return printed(node.services.database, asked, Format.CSV, reader(node)).body


def test_nothing_of_an_erased_batch_is_in_the_archive_and_the_books_are_proved(shelved: Node) -> None:
    face = pictures.reference(shelved.folder, "source.png", shade=7)
    chair = pictures.reference(shelved.folder, "chair.png", shade=9)
    before, totals = exported(shelved), verified(shelved).totals
    counts = erasing.preview(shelved.services.database, reader(shelved), batch(shelved))

    done = erase(shelved, batch(shelved))

    assert (counts["job"], [each.jobs for each in done.erasures]) == (3, [3])
    assert in_store(shelved, "Wilhelmina") == set()
    assert {key: prompt[:11] for key, prompt in prompts(shelved).items()} == {
        **dict.fromkeys(("failed", "face", "both"), "(erased on "),
        "chair": "A chair",
    }
    assert broken(shelved) == {}
    assert verified(shelved).totals == totals
    assert exported(shelved) == before
    assert not shelved.services.store.exists(f"references/{face}")
    assert erase(shelved, batch(shelved)) == Erased(erasures=(), files=0)
    assert shelved.services.store.exists(f"references/{chair}")
    for _ in range(2):
        seal(shelved)
    assert broken(shelved) == {}


def test_one_job_is_erased_and_the_others_of_its_batch_stay(shelved: Node) -> None:
    done = erase(shelved, job(shelved, "face"))

    assert [each.jobs for each in done.erasures] == [1]
    assert {key for key, prompt in prompts(shelved).items() if prompt.startswith("(erased")} == {"face"}
    assert broken(shelved) == {}
    assert [each.jobs for each in erase(shelved, batch(shelved)).erasures] == [2]
    assert in_store(shelved, "Wilhelmina") == set()
    assert broken(shelved) == {}


def test_each_file_before_is_named_with_its_digest_by_an_erasure(shelved: Node) -> None:
    old = {each.path for each in files(shelved)}

    [done] = erase(shelved, job(shelved, "face")).erasures

    rows = shelved.query("SELECT * FROM rewritten_file")
    new = {row["sha256"] for row in shelved.query("SELECT sha256 FROM archived_file")}
    assert {"job", "generation"} <= {row["name"] for row in rows}
    assert {row["path"] for row in rows} <= old
    assert {row["erasure_id"] for row in rows} == {done.id}
    assert {row["new_sha256"] for row in rows} <= new
    assert not any((shelved.folder / row["path"]).exists() for row in rows)


def dearer(names: list[str], row: list[Any]) -> None:
    row[names.index("price")] += 1


def other_prompt(names: list[str], row: list[Any]) -> None:
    row[names.index("prompt")] = "mine"


@pytest.mark.parametrize("key", ["face", "both"])
@pytest.mark.parametrize("change", [dearer, other_prompt])
def test_what_is_changed_in_the_archive_after_an_erasure_is_named(
    change: Callable[[list[str], list[Any]], None], key: str, shelved: Node, superuser: Engine
) -> None:
    erase(shelved, job(shelved, "face"))
    [path] = [
        row["path"]
        for row in shelved.query("SELECT path, batch_id FROM archived_file WHERE name = 'job'")
        if row["batch_id"] == batch(shelved).batch_id
    ]
    columns, rows = parquet.decode((shelved.folder / path).read_bytes())
    names, changed = [each.name for each in columns], [list(row) for row in rows]
    [row] = [each for each in changed if each[names.index("key")] == key]
    change(names, row)
    content = parquet.encode(columns, iter(changed))
    believed = broken(shelved)

    (shelved.folder / path).chmod(0o644)
    (shelved.folder / path).write_bytes(content)
    with superuser.begin() as tx:
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        tx.execute(
            text("UPDATE archived_file SET sha256 = :sha256 WHERE path = :path"),
            {"sha256": hashlib.sha256(content).hexdigest(), "path": path},
        )

    assert believed == {}
    assert "sealed_facts" in broken(shelved)


@pytest.mark.parametrize("effects", range(1, 14))
def test_a_kill_between_any_two_effects_loses_nothing_and_the_same_order_completes_it(
    effects: int, shelved: Node
) -> None:
    totals = verified(shelved).totals
    listen(shelved, Fuse(effects))
    killed = False
    try:
        erase(shelved, batch(shelved))
    except Crash:
        killed = True

    listen(shelved, lambda _: None)
    assert broken(shelved) == {}
    erase(shelved, batch(shelved))
    assert (killed, in_store(shelved, "Wilhelmina")) == (True, set())
    assert {each.name for each in (shelved.folder / "archive").rglob("*.parquet")} == {
        each.file.name for each in files(shelved)
    }
    assert not shelved.query("SELECT path FROM unneeded_file")
    assert broken(shelved) == {}
    assert verified(shelved).totals == totals


def test_nothing_is_erased_while_a_file_is_damaged(shelved: Node) -> None:
    entries = files(shelved)[0]
    entries.file.rename(entries.file.with_suffix(".away"))

    with pytest.raises(ArchiveDamaged, match="restore it from a copy"):
        erase(shelved, batch(shelved))

    entries.file.with_suffix(".away").rename(entries.file)
    assert not shelved.query("SELECT id FROM erasure")
    assert broken(shelved) == {}


def test_a_second_person_is_needed_in_the_archive_too(shelved: Node) -> None:
    with pytest.raises(SecondPersonNeeded):
        erase(shelved, job(shelved, "face"), above=1000)
    waiting = prompts(shelved)["face"]
    erase(shelved, job(shelved, "face"), by="bob", above=1000)

    assert (waiting, prompts(shelved)["face"][:11]) == (SECRET, "(erased on ")


def test_a_batch_of_several_parts_is_erased_in_each_of_them(small: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "JOBS_PER_PART", 1)
    archive(small)
    [found] = small.query("SELECT id FROM batch")
    whole = Target(subject=f"batch:{found['id']}", batch_id=found["id"])

    done = erase(small, whole)

    assert [each.jobs for each in done.erasures] == [1, 1]
    assert {said[:11] for said in prompts(small).values()} == {"(erased on "}
    assert broken(small) == {}


def test_of_two_that_erase_one_archived_batch_at_once_one_does(shelved: Node) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: erase(shelved, batch(shelved)), range(2)))

    assert sorted(len(each.erasures) for each in both) == [0, 1]
    assert broken(shelved) == {}
