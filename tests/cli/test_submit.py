"""A manifest is submitted whole, once, or not at all."""

import csv
import json
from pathlib import Path

import pytest

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


def test_faults_beyond_fifty_are_all_in_a_file_in_the_current_folder(darkroom: Darkroom, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere" / "bad.jsonl"
    path.write_text('{"key": "=1+1", "prompt": ""}\n' * 60)

    refused = darkroom("submit", str(path))

    with (tmp_path / "bad.jsonl.faults.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert "more, all in bad.jsonl.faults.csv" in refused.stderr
    assert [row["line"] for row in rows if row["field"] == "prompt"] == [str(line) for line in range(1, 61)]
    assert (rows[0]["key"], rows[0]["reason"]) == ("'=1+1", "is blank")


def test_fifty_faults_of_a_kind_are_one_row_and_leave_no_file(darkroom: Darkroom, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"prompt": ""}\n' * 50)

    refused = darkroom("submit", str(path))

    assert "1  -    prompt  is blank; and in 49 more lines, up to line 50" in refused.stderr
    assert "50 invalid lines" in refused.stderr
    assert list(tmp_path.glob("*faults*")) == []


def test_every_fault_is_in_the_file_that_is_asked_for(darkroom: Darkroom, manifest: Path, tmp_path: Path) -> None:
    refused = darkroom("submit", str(manifest), "--faults", "bad.jsonl", "--json")

    lines = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert lines == json.loads(refused.stdout)["faults"]
    assert lines[0]["permitted"][0] == "square"


def test_a_faults_file_of_a_corrected_manifest_is_empty(
    darkroom: Darkroom, good_manifest: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.csv").write_text("faults of before")

    darkroom("submit", str(good_manifest), "--faults", "bad.csv")

    assert (tmp_path / "bad.csv").read_bytes() == b"line,key,field,reason,permitted\r\n"


def test_a_faults_file_of_no_known_form_is_refused_before_the_manifest_is_read(darkroom: Darkroom) -> None:
    refused = darkroom("submit", "nothing.jsonl", "--faults", "bad.xlsx")

    assert refused.returncode == 2
    assert "must end in .csv, .jsonl or .ndjson" in refused.stderr


def test_a_dry_run_prints_the_plan(darkroom: Darkroom, manifest: Path) -> None:
    planned = darkroom("submit", str(manifest), "--skip-invalid", "--dry-run")

    assert planned.stdout.splitlines() == [
        "lines           3 (2 good, 1 bad one left out)",
        "jobs            2",
        "references      0 different",
        "credits         8",
        "wallet          not known: the provider did not say",
        "duration        not known: no account here has worked yet",
        "kept, not used  sku",
        "Nothing was submitted; the same command without --dry-run does it.",
    ]


def test_a_dry_run_after_a_first_batch_says_how_long_it_would_take(darkroom: Darkroom, good_manifest: Path) -> None:
    darkroom("submit", str(good_manifest))

    plan = json.loads(darkroom("submit", str(good_manifest), "--dry-run", "--json").stdout)

    assert (plan["lines"], plan["bad_lines"], plan["wallet_after"]) == (1, 0, None)
    assert (plan["duration_s"], plan["duration_low_s"], plan["duration_high_s"]) == (7.8, None, None)


def test_a_manifest_that_is_not_there_is_one_sentence(darkroom: Darkroom) -> None:
    missing = darkroom("submit", "nothing.jsonl")

    assert missing.returncode == 1
    assert missing.stderr == "darkroom: nothing.jsonl: cannot be read: No such file or directory\n"


CHAIRS = "key,prompt,{column},shelf\nred,A red chair,7,B2\nblue,A blue chair,8,B3\n"


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("refrence", "this column is written 'reference'"),
        ("seed", "is no parameter of qwen-image"),
        ("size", "is no parameter of qwen-image"),
    ],
)
def test_a_column_that_was_meant_for_another_is_refused_before_anything_is_paid(
    darkroom: Darkroom, tmp_path: Path, column: str, reason: str
) -> None:
    (tmp_path / "chairs.csv").write_text(CHAIRS.format(column=column))

    refused = json.loads(darkroom("submit", "chairs.csv", "--json").stdout)

    assert [(fault["line"], fault["field"]) for fault in refused["faults"]] == [(2, column), (3, column)]
    assert refused["faults"][0]["reason"].startswith(reason)


def test_an_extra_column_is_let_through_by_its_name(darkroom: Darkroom, tmp_path: Path) -> None:
    (tmp_path / "chairs.csv").write_text(CHAIRS.format(column="size"))

    receipt = json.loads(darkroom("submit", "chairs.csv", "--allow-extra", "size", "--json").stdout)

    assert (receipt["jobs"], receipt["kept_not_used"]) == (2, ["size", "shelf"])


def test_columns_that_are_kept_and_not_used_are_named_before_and_after(darkroom: Darkroom, tmp_path: Path) -> None:
    (tmp_path / "chairs.csv").write_text(CHAIRS.format(column="x_size"))

    plan = darkroom("submit", "chairs.csv", "--dry-run")
    receipt = darkroom("submit", "chairs.csv")

    assert "kept, not used  x_size, shelf" in plan.stdout
    assert "Kept for the results, not used: x_size, shelf." in receipt.stdout


def test_the_capitals_of_a_csv_header_do_not_matter(darkroom: Darkroom, tmp_path: Path) -> None:
    (tmp_path / "chairs.csv").write_text("\ufeffKey;PROMPT ; Image_Size;Shelf\nred;A red chair;square;B2\n")

    receipt = json.loads(darkroom("submit", "chairs.csv", "--json").stdout)

    assert (receipt["jobs"], receipt["kept_not_used"]) == (1, ["Shelf"])


def test_a_header_without_a_prompt_names_the_column_that_looks_like_it(darkroom: Darkroom, tmp_path: Path) -> None:
    (tmp_path / "chairs.csv").write_text("key,promt\nred,A red chair\n")

    refused = darkroom("submit", "chairs.csv")

    assert "did you mean 'promt'?" in " ".join(refused.stderr.split())
