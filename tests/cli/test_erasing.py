"""`darkroom erase`: what has ended is erased by its key, as a batch or as a reference, and only when that is said."""

import json
from pathlib import Path

from tests.cli.conftest import Darkroom
from tests.fixtures import pictures

REASON = ("--reason", "request 12")


def test_a_batch_is_shown_first_then_erased_by_key_and_whole(darkroom: Darkroom, tmp_path: Path) -> None:
    pictures.reference(tmp_path, "source.png")
    (tmp_path / "faces.csv").write_text(
        "key,prompt,reference\nface-1,Wilhelmina Zyx,source.png\nface-2,A chair,source.png\n", encoding="utf-8"
    )
    darkroom("submit", "faces.csv", "--name", "faces")
    live = darkroom("erase", "--batch", "faces", *REASON, "--yes")
    darkroom("cancel", "faces", "--yes")

    shown = darkroom("erase", "--batch", "faces", *REASON, "--dry-run", "--json")
    asked = darkroom("erase", "--batch", "faces", *REASON)
    one = darkroom("erase", "--batch", "faces", "--job", "face-1", *REASON, "--yes", "--json")
    whole = darkroom("erase", "--batch", "faces", *REASON, "--yes")
    again = darkroom("erase", "--reference", "source.png", *REASON, "--yes")

    assert (live.returncode, "`darkroom cancel" in live.stderr) == (1, True)
    assert (
        json.loads(shown.stdout)["would_erase"] | {"job": 2, "reference": 1} == json.loads(shown.stdout)["would_erase"]
    )
    assert (asked.returncode, "add --yes" in asked.stderr) == (2, True)
    assert [each["jobs"] for each in json.loads(one.stdout)["erasures"]] == [1]
    assert "erased 1 job and 1 reference image" in whole.stdout
    assert "nothing was left to erase" in again.stdout
    assert "Wilhelmina" not in darkroom("results", "faces").stdout


def test_what_is_to_be_erased_is_named_once_with_a_reason(darkroom: Darkroom) -> None:
    for arguments, said in {
        (): "choose one",
        ("--batch", "faces", "--reference", "0" * 64): "choose one",
        ("--reference", "nowhere.png"): "neither a file nor",
        ("--job", "face-1"): "give the batch of a key with --batch",
    }.items():
        done = darkroom("erase", *arguments, *REASON, "--yes")
        assert (done.returncode > 0, said in done.stderr) == (True, True), done.stderr
    assert "--reason" in darkroom("erase", "--batch", "faces", "--yes").stderr
