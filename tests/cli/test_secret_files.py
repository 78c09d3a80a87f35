"""Commands and the processes that they start take secrets from files."""

from pathlib import Path

import pytest

from tests.acceptance.nodes import ROOT
from tests.cli.conftest import run_here
from worker.cli.context import resolve


def written(folder: Path, name: str, content: str) -> str:
    file = folder / name
    file.write_text(content)
    file.chmod(0o400)
    return str(file)


def test_a_command_finds_its_database_by_a_file(database_url: str, tmp_path: Path) -> None:
    settings = {"DARKROOM_DATABASE_URL_FILE": written(tmp_path, "url", database_url)}

    assert run_here(tmp_path, settings, "ls", "--json").stdout.strip() == "[]"


def test_a_process_that_is_started_finds_each_secret_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DARKROOM_HOME", str(tmp_path))
    monkeypatch.setenv("DARKROOM_DATABASE_URL_FILE", written(tmp_path, "url", "postgresql://db/x"))
    monkeypatch.setenv("DARKROOM_BROKER_URL", "redis://broker/0")
    monkeypatch.setenv("RIVYA_API_KEY_FILE", written(tmp_path, "key", "rvya_sk_1"))

    found = resolve().environment()

    assert {"DARKROOM_DATABASE_URL_FILE", "RIVYA_API_KEY_FILE", "DARKROOM_BROKER_URL"} <= set(found)
    assert not {"DARKROOM_DATABASE_URL", "RIVYA_API_KEY", "DARKROOM_BROKER_URL_FILE"} & set(found)
