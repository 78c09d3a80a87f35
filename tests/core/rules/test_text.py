"""Text is kept only as it can be stored and shown; JSON has one form."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.rules import text
from worker.core.rules.fault import UnfitError

VALUES = st.dictionaries(st.text(), st.text() | st.integers() | st.floats(allow_nan=False))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (7, "must be text, not 'int'"),
        ("a\0", "holds a NUL character"),
        ("\ud800", "holds half of a surrogate pair"),
        (" ", "is blank"),
        ("x" * 201, "has 201 characters, permitted are 200"),
        ("a\u202eb", "holds a control or invisible character"),
        ("a\u2028b", "holds a control or invisible character"),
        ("a\nb", "holds a control or invisible character"),
    ],
    ids=repr,
)
def test_a_label_is_one_short_line_of_visible_text(value: object, reason: str) -> None:
    with pytest.raises(UnfitError, match=reason):
        text.label(value)


@pytest.mark.parametrize("value", ["a", "x" * 200, "Stühle 茶碗"])
def test_a_label_is_kept_as_it_is(value: str) -> None:
    assert text.label(value) == value


@given(VALUES)
def test_canonical_values_are_the_canonical_json_of_the_mapping(values: dict[str, str | int | float]) -> None:
    """The many mappings of texts alone are remembered; the others take the same form."""
    assert text.canonical_values(values) == text.canonical(values)
    assert json.loads(text.canonical(values)) == values


def test_canonical_json_has_no_blanks_and_sorted_names() -> None:
    assert text.canonical({"b": None, "a": ["é"]}) == '{"a":["\\u00e9"],"b":null}'
    assert text.canonical(None) == "null"
