"""A reason for a rejection is one bounded line of visible text."""

import json

import pytest

from worker.catalog.rules.decisions import REASON_MAX, DecisionsFaulty, read

RENDER = "01900000-0000-7000-8000-000000000000"


def document(reason: object) -> bytes:
    """Return a file of one rejection with this reason."""
    line = {"sku": "a", "render": RENDER, "decision": "reject", "reason": reason}
    return json.dumps({"darkroom": "decisions", "version": 1, "catalog": "mugs", "decisions": [line]}).encode()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        ("", None),
        ("  \n ", None),
        ("too dark", "too dark"),
        ("  a leg\n\tis missing ", "a leg is missing"),
        ("\x1b[31mred\x07", "[31mred"),
        ("right to \u202eleft", "right to left"),
        ("<b>&", "<b>&"),
        ("x" * REASON_MAX, "x" * REASON_MAX),
    ],
)
def test_a_reason_is_kept_as_one_line_of_visible_text(given: str | None, kept: str | None) -> None:
    [decision] = read(document(given), catalog="mugs")

    assert decision.reason == kept


@pytest.mark.parametrize("given", ["x" * (REASON_MAX + 1), 7, ["x"], "a\0b", "\ud800"])
def test_a_file_with_a_reason_that_cannot_be_kept_is_faulty(given: object) -> None:
    with pytest.raises(DecisionsFaulty, match="decision 1: "):
        read(document(given), catalog="mugs")
