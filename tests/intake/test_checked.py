import json
import os
from collections import Counter
from pathlib import Path

import pytest

from worker.core.rules.fault import Fault
from worker.intake.manifest import CheckedRequest, LocalFile, Row, checked, read
from worker.intake.rules.references import RemoteUrl, StoredHash

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "catalog.jsonl"


def one(reference: str, base: Path | None) -> CheckedRequest | Fault:
    (found,) = checked([Row(line=4, raw={"prompt": "a", "key": "k", "reference": reference})], base=base)
    return found


def test_a_path_is_relative_to_the_manifest_and_may_lead_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "manifests").mkdir()

    found = one("../a.png", tmp_path / "manifests")

    assert isinstance(found, CheckedRequest)
    assert found.references == (LocalFile((tmp_path / "a.png").resolve(), "a.png"),)


def test_a_missing_file_is_a_fault_that_names_the_path_that_was_tried(tmp_path: Path) -> None:
    found = one("no.png", tmp_path)

    assert isinstance(found, Fault)
    assert (found.line, found.key, found.field) == (4, "k", "reference")
    assert str(tmp_path / "no.png") in found.reason


def test_a_folder_is_not_a_reference(tmp_path: Path) -> None:
    found = one(".", tmp_path)

    assert isinstance(found, Fault)


def test_a_pipe_is_not_a_reference(tmp_path: Path) -> None:
    """Reading it would wait for ever."""
    os.mkfifo(tmp_path / "pipe.png")

    found = one("pipe.png", tmp_path)

    assert isinstance(found, Fault)


@pytest.mark.parametrize("reference", ["a.png", "/etc/passwd", "../a.png"])
def test_an_interface_without_a_folder_permits_no_path(reference: str) -> None:
    found = one(reference, None)

    assert isinstance(found, Fault)
    assert found.permitted == ("https://...", "sha256:<64 hex digits> of a stored reference")


@pytest.mark.parametrize(
    ("reference", "located"),
    [
        ("https://example.org/a.png", RemoteUrl("https://example.org/a.png")),
        ("sha256:" + "0" * 64, StoredHash("0" * 64)),
    ],
)
def test_an_address_and_a_stored_hash_are_permitted_by_every_interface(reference: str, located: object) -> None:
    found = one(reference, None)

    assert isinstance(found, CheckedRequest)
    assert found.references == (located,)


def test_a_key_that_is_used_twice_is_a_fault_of_the_second_line() -> None:
    rows = [Row(line=number, raw={"prompt": "a", "key": "k"}) for number in (2, 5)]

    first, second = checked(rows, base=None)

    assert isinstance(first, CheckedRequest)
    assert isinstance(second, Fault)
    assert (second.line, second.field) == (5, "key")


def test_the_example_has_exactly_two_lines_that_are_wrong_before_an_image_is_opened() -> None:
    """The third wrong line names a text file called .png, which only a look at its bytes can tell."""
    found = list(checked(read(EXAMPLE), base=EXAMPLE.parent))

    faults = [fault for fault in found if isinstance(fault, Fault)]

    assert len(found) >= 44
    assert [fault.field for fault in faults] == ["prompt", "image_size"]


def test_the_example_covers_every_size_in_both_formats_and_shares_references() -> None:
    found = [item for item in checked(read(EXAMPLE), base=EXAMPLE.parent) if isinstance(item, CheckedRequest)]

    pairs = {(item.request.params["image_size"], item.request.params["output_format"]) for item in found}
    uses = Counter(name for item in found for name in item.request.references)
    kinds = {Path(name).suffix for name in uses}

    assert len(pairs) == 12
    assert uses.most_common(1)[0][1] >= 4
    assert kinds == {".jpg", ".png", ".webp"}


def test_the_example_carries_metadata_on_each_line() -> None:
    lines = [json.loads(line) for line in EXAMPLE.read_text(encoding="utf-8").splitlines()]

    assert all({"sku", "colour"} <= set(line) for line in lines)
