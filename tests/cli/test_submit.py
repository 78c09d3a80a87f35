"""A manifest is submitted whole, once, or not at all."""

import json
from pathlib import Path

from tests.cli.conftest import Darkroom


def test_a_manifest_with_a_bad_line_is_refused_and_nothing_is_written(darkroom: Darkroom, manifest: Path) -> None:
    refused = darkroom("submit", str(manifest))

    assert refused.returncode == 1
    assert json.loads(darkroom("status", "--json").stdout) == []


def test_a_refusal_names_line_field_and_reason(darkroom: Darkroom, manifest: Path) -> None:
    refused = darkroom("submit", str(manifest))

    assert "2  huge  image_size  'huge' is not known" in refused.stderr


def test_a_refusal_as_json_is_one_object_with_every_fault(darkroom: Darkroom, manifest: Path) -> None:
    refused = json.loads(darkroom("submit", str(manifest), "--json").stdout)

    assert (refused["batch"], refused["state"], refused["jobs"]) == (None, "refused", 0)
    assert [(fault["line"], fault["field"]) for fault in refused["faults"]] == [(2, "image_size")]


def test_skip_invalid_submits_the_good_lines(darkroom: Darkroom, manifest: Path) -> None:
    done = darkroom("submit", str(manifest), "--skip-invalid", "--json")

    receipt = json.loads(done.stdout)
    assert done.returncode == 0
    assert (receipt["jobs"], receipt["credits"], receipt["is_new"], receipt["name"]) == (2, 8, True, "chairs")


def test_the_same_token_again_is_the_same_batch(darkroom: Darkroom, good_manifest: Path) -> None:
    first = json.loads(darkroom("submit", str(good_manifest), "--token", "t", "--json").stdout)

    again = darkroom("submit", str(good_manifest), "--token", "t", "--json")

    assert again.returncode == 0
    receipt = json.loads(again.stdout)
    assert (receipt["batch"], receipt["is_new"]) == (first["batch"], False)


def test_a_token_of_another_manifest_is_refused(darkroom: Darkroom, manifest: Path, good_manifest: Path) -> None:
    darkroom("submit", str(good_manifest), "--token", "t")

    other = darkroom("submit", str(manifest), "--skip-invalid", "--token", "t")

    assert other.returncode == 1
    assert "under another token" in other.stderr


def test_a_dry_run_says_the_price_and_needs_no_database(bare: Darkroom, good_manifest: Path, tmp_path: Path) -> None:
    priced = bare("submit", str(good_manifest), "--dry-run", "--json")

    answer = json.loads(priced.stdout)
    assert (answer["state"], answer["jobs"], answer["credits"]) == ("dry_run", 1, 4)
    assert list(tmp_path.iterdir()) == [good_manifest]


def test_faults_beyond_fifty_are_in_a_file_beside_the_manifest(darkroom: Darkroom, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"prompt": ""}\n' * 60)

    refused = darkroom("submit", str(path))

    assert f"... and 10 more, all in {path}.faults.jsonl" in refused.stderr
    assert len((tmp_path / "bad.jsonl.faults.jsonl").read_text().splitlines()) == 60


def test_a_manifest_that_is_not_there_is_one_sentence(darkroom: Darkroom) -> None:
    missing = darkroom("submit", "nothing.jsonl")

    assert missing.returncode == 1
    assert missing.stderr == "darkroom: nothing.jsonl: cannot be read: No such file or directory\n"
