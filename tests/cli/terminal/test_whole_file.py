"""A file that a command writes is whole, or it is the one of before."""

from pathlib import Path
from typing import IO

import pytest

from worker.cli.streams import write_whole


def test_a_file_that_breaks_off_leaves_the_older_one_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text("older")

    with pytest.raises(LookupError, match="gone"):
        write_whole(path, _broken)

    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_an_older_file_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text("older")

    meanwhile = write_whole(path, lambda file: (file.write("newer"), file.flush(), path.read_text())[-1])

    assert (meanwhile, path.read_text()) == ("older", "newer")


def _broken(file: IO[str]) -> None:
    file.write("half")
    raise LookupError("gone")
