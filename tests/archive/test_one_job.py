"""One job of an archived batch: commands, the HTTP API and the console answer from the files of its batch."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests

from tests.archive.conftest import archive, counts, files, reader
from tests.cli.conftest import run_here
from tests.pipeline.hooked import Crash, Fuse
from tests.pipeline.node import Node
from tests.web.console import catalog
from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web
from worker.archive import jobs
from worker.archive.jobs import ArchiveUnreadable
from worker.archive.parquet import Only
from worker.archive.queries import archived
from worker.batches.queries import results
from worker.core.rules.states import JobState


def job_id(node: Node, key: str = "a") -> UUID:
    """Return the job's id; its rows must be in the tables."""
    found: UUID = node.query(f"SELECT id FROM job WHERE key = '{key}'")[0]["id"]
    return found


@pytest.fixture
def web(small: Node, database_url: str, tmp_path: Path) -> Iterator[Web]:
    """Yield the web process of the node's database and store."""
    with catalog.shown(small, database_url, tmp_path / "home") as found:
        yield found


def test_a_job_is_explained_by_its_id_or_key_wherever_its_rows_are(small: Node, tmp_path: Path) -> None:
    wanted, batch = job_id(small), small.query("SELECT id FROM batch")[0]["id"]
    environment = {
        "DARKROOM_DATABASE_URL": small.services.database.url.render_as_string(hide_password=False),
        "DARKROOM_STORE": str(small.folder),
    }

    def explained(*target: str, status: int = 0) -> Any:
        found = run_here(tmp_path, environment, "explain", *target, "--json")
        assert found.returncode == status, found.stderr
        return json.loads(found.stdout) if status == 0 else found.stderr

    live = explained(str(wanted))
    archive(small)

    moved, by_key, of_batch = explained(str(wanted)), explained("pair", "a"), explained("pair")

    assert (live["archived"], live["verdict"]) == (None, "ended")
    assert moved == by_key
    assert moved["state"] == "succeeded"
    assert moved["why"].startswith(live["why"])
    assert moved["archived"]["folder"] == f"archive/{batch}/"
    assert f"`darkroom results {batch}`" in of_batch["to_do"]
    assert "has no job 'c'" in explained("pair", "c", status=1)
    assert "darkroom audit job" in explained(str(UUID(int=wanted.int + 1)), status=1)
    assert f"archive/{batch}/" in run_here(tmp_path, environment, "status", "pair").stdout.replace("\n", "")


def test_the_http_api_answers_a_job_and_its_image_as_before(small: Node, web: Web) -> None:
    wanted, token = job_id(small), web.token("all")
    path, image_path = f"/api/v1/jobs/{wanted}", f"/api/v1/results/{wanted}/image"

    def ask(path: str, status: int = 200) -> requests.Response:
        answer = requests.get(web.url + path, headers=token, timeout=30)
        assert answer.status_code == status, answer.text
        return answer

    before, image = ask(path).json(), ask(image_path).content
    archive(small)

    after = ask(path).json()

    batch = ask(f"/api/v1/batches/{before['batch']}").json()
    assert after == before | {"archived_at": batch["archived_at"]}
    assert (before["archived_at"], batch["archive_folder"]) == (None, f"archive/{before['batch']}/")
    assert ask(image_path).content == image
    ask(f"/api/v1/jobs/{UUID(int=wanted.int + 1)}", 404)


def test_an_owner_is_told_of_its_own_archived_jobs_alone(small: Node, web: Web) -> None:
    """Not even that the id may be one of them: where files cannot be read, the answer would say so."""
    path = f"{web.url}/api/v1/jobs/{job_id(small)}"
    archive(small)
    for each in files(small):
        each.file.unlink()

    foreign = requests.get(path, headers=web.token("theirs", owner="another"), timeout=30)
    own = requests.get(path, headers=web.token("ours"), timeout=30)

    assert (foreign.status_code, own.status_code) == (404, 503)
    assert own.json()["type"].endswith("archive_unreadable")
    assert "restore it from a copy" in own.json()["detail"]


def test_the_console_shows_an_archived_job_and_says_where_the_others_are(small: Node, web: Web) -> None:
    wanted, batch = job_id(small), small.query("SELECT id FROM batch")[0]["id"]
    browser = signed_in(web)
    before = get(browser, web, f"/jobs/{wanted}")
    archive(small)

    after, page = get(browser, web, f"/jobs/{wanted}"), get(browser, web, f"/batches/{batch}")
    searches = [text_of(get(browser, web, f"/search?q={words}")) for words in (wanted, "chair")]

    timeline = re.compile(r'<ol class="timeline">.*?</ol>', re.DOTALL)
    assert timeline.findall(after.text) == timeline.findall(before.text) != []
    assert "Archived on" in text_of(page)
    assert "archived on" in text_of(after)
    assert f"darkroom results {batch}" in text_of(page)
    assert "results.csv" not in page.text
    assert "2 succeeded" in text_of(page)
    assert "may be that of a job of an archived batch" in searches[0]
    assert all("1 archived batch are not searched" in each for each in searches)


def test_of_several_parts_only_that_of_the_job_is_read(small: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.archive.writing.JOBS_PER_PART", 1)
    first, second = job_id(small, "a"), job_id(small, "b")
    archive(small)
    with small.services.database.transaction() as tx:
        of_second = {each.path for each in archived.files_of_job(tx, second)}
    for each in files(small):
        if each.path not in of_second:
            each.file.unlink()

    with jobs.seeing(small.services.database, reader(small), second) as tx:
        found = results.of_jobs(tx, [second])[second]
    with (
        pytest.raises(ArchiveUnreadable, match="is missing"),
        jobs.seeing(small.services.database, reader(small), first),
    ):
        pass

    assert (found.key, found.state, found.spent) == ("b", JobState.SUCCEEDED, 4)


def test_a_store_that_hangs_is_given_up_and_the_next_step_said(small: Node) -> None:
    """A named pipe without a writer never answers a read."""
    wanted = job_id(small)
    archive(small)
    with small.services.database.transaction() as tx:
        found = archived.files_of_job(tx, wanted)
    [of_jobs] = [small.folder / each.path for each in found if each.name == "job"]
    of_jobs.unlink()
    os.mkfifo(of_jobs)

    with pytest.raises(ArchiveUnreadable, match=r"did not answer within 0\.2 s: check DARKROOM_STORE"):
        jobs.read(reader(small), found, Only(column="id", values=[wanted.bytes]), within_s=0.2)

    # The reading thread ends when a writer opens and closes the pipe.
    os.close(os.open(of_jobs, os.O_WRONLY))


def test_a_batch_whose_removal_was_cut_off_is_read_from_where_its_rows_are(small: Node) -> None:
    first, second = job_id(small, "a"), job_id(small, "b")
    small.services.database.listener = Fuse(18)  # type: ignore[attr-defined]
    with pytest.raises(Crash):
        archive(small)
    small.services.database.listener = lambda _: None  # type: ignore[attr-defined]
    with small.services.database.transaction() as tx:
        assert archived.remove(tx, archived.unremoved(tx)[0], jobs=1) == 1

    found = {}
    for each in (first, second):
        with jobs.seeing(small.services.database, reader(small), each) as tx:
            found[each] = results.of_jobs(tx, [each])[each].spent

    assert counts(small)["job"] == 1
    assert found == {first: 4, second: 4}
