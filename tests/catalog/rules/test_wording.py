import pytest

from worker.catalog.rules.refresh import word_changes


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("A red chair", "A red chair", []),
        ("A red chair", "A blue chair", ["red -> blue"]),
        ("A chair", "A red chair", ["+red"]),
        ("A red chair", "A chair", ["-red"]),
        ("A red chair, side view", "A blue chair, front view", ["red -> blue", "side -> front"]),
        ("A  chair", "A chair", ["white space -> other white space"]),
        ("", "A chair", ["+A chair"]),
    ],
)
def test_only_the_words_that_differ_are_named(before: str, after: str, expected: list[str]) -> None:
    assert [str(change) for change in word_changes(before, after)] == expected


def test_very_long_prompts_are_compared_as_a_whole() -> None:
    before, after = " ".join(["a"] * 500), " ".join(["b"] * 500)

    assert len(word_changes(before, after)) == 1
