import pytest

from worker.core.rules import errors


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("content_policy_violation", True),
        ("CONTENT_Policy_Violation", True),
        (" nsfw ", True),
        ("generation_failed", False),
        ("", False),
        (None, False),
    ],
)
def test_a_code_is_compared_whatever_its_case(code: str | None, expected: bool) -> None:  # noqa: FBT001 - a column
    assert errors.is_content_refusal(code, errors.REFUSED_CONTENT) is expected


@pytest.mark.parametrize(
    ("listed", "expected"), [("a, B ,,", {"a", "b"}), ("none", set()), ("NONE", set()), ("none,a", {"none", "a"})]
)
def test_codes_are_read_from_a_list_with_commas(listed: str, expected: set[str]) -> None:
    assert errors.parse_content_codes(listed) == expected
