"""What one model takes as a reference another may not: judged with the request, before a credit is held."""

from pathlib import Path

import pytest

from tests.fixtures import pictures
from tests.pipeline.node import Node
from worker.enqueue import RequestsRefused

LARGE_BYTES = 12_000_000
LARGE = {"prompt": "large", "model": "nano-banana-2", "reference": ["small.png", "large.png"]}


@pytest.fixture
def large(node: Node) -> str:
    """Write a reference that some models take and others do not, and return its hash."""
    pictures.reference(node.folder, "small.png", shade=2001)
    pictures.reference(node.folder, "large.png", shade=2002)
    file = Path(node.folder / "large.png")
    file.write_bytes(file.read_bytes() + bytes(LARGE_BYTES - file.stat().st_size))
    node.submit(LARGE)
    [row] = node.query("SELECT sha256 FROM reference WHERE size_bytes = :n", n=LARGE_BYTES)
    return str(row["sha256"])


def test_a_reference_as_large_as_its_model_takes_is_accepted(large: str, node: Node) -> None:
    assert node.query("SELECT further_references AS more FROM job") == [{"more": [large]}]


@pytest.mark.usefixtures("large")
def test_a_file_that_is_too_large_for_its_model_is_refused_with_its_line(node: Node) -> None:
    with pytest.raises(RequestsRefused) as refused:
        node.submit(LARGE, {"key": "a", "prompt": "1", "model": "nano-banana", "reference": ["small.png", "large.png"]})

    [fault] = refused.value.faults
    assert (fault.line, fault.key, fault.field) == (2, "a", "reference_2")
    assert "'large.png' has 12,000,000 bytes; nano-banana takes at most 10,000,000" in fault.reason


def test_a_stored_reference_that_is_too_large_for_one_of_its_models_is_refused_with_that_line(
    large: str, node: Node
) -> None:
    named = f"sha256:{large}"

    with pytest.raises(RequestsRefused) as refused:
        node.submit(
            {"key": "a", "prompt": "1", "model": "nano-banana-2", "reference": named},
            {"key": "b", "prompt": "2", "model": "qwen-image", "reference": named},
        )

    [fault] = refused.value.faults
    assert (fault.line, fault.key) == (2, "b")
    assert "qwen-image takes at most 10,000,000" in fault.reason
