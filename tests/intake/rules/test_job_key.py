import tracemalloc

import pytest

from worker.core.rules.fault import UnfitError
from worker.intake.rules.request import KEY_MAX_BYTES, Keys, job_key


@pytest.mark.parametrize("key", ["a", "shoe-3", "靴 赤", "Größe_42", "a.b", "x" * KEY_MAX_BYTES, "console", "com"])
def test_a_key_that_can_name_a_file_anywhere_is_kept_as_it_is(key: str) -> None:
    assert job_key(key, 1) == key


@pytest.mark.parametrize(("value", "key"), [(5, "5"), (0, "0"), (None, "line-000012"), ("", "line-000012")])
def test_a_number_becomes_text_and_no_key_becomes_the_line(value: object, key: str) -> None:
    assert job_key(value, 12) == key


@pytest.mark.parametrize(
    "key",
    [
        ".", "..", ".hidden", "end.", "end ", " start", " ", "a/b", "a\\b", "a:b", 'a"b', "a*", "a?", "<a>",
        "a|b",
        "a\nb", "a\0b", "a\u200bb", "a\u202eb", "a\u2028b", "\ud800", "é" * 91, "x" * (KEY_MAX_BYTES + 1),
        "con", "NUL", "com1.old", "Lpt9", True, 1.0, -1, 10**18, [], {},
    ],
)  # fmt: skip
def test_a_key_that_cannot_name_a_file_somewhere_is_refused(key: object) -> None:
    with pytest.raises(UnfitError):
        job_key(key, 1)


def test_a_key_that_was_used_before_names_the_earlier_line() -> None:
    keys = Keys()
    keys.add("shoe", 3)

    fault = keys.add("shoe", 9)

    assert fault is not None
    assert (fault.line, fault.field) == (9, "key")
    assert "line 3" in fault.reason


@pytest.mark.parametrize(("one", "other"), [("Shoe", "shoe"), ("caf\u00e9", "cafe\u0301"), ("STRASSE", "straße")])
def test_keys_whose_files_would_be_one_file_on_some_system_are_the_same(one: str, other: str) -> None:
    keys = Keys()
    keys.add(one, 1)

    fault = keys.add(other, 2)

    assert fault is not None


def test_different_keys_are_told_apart_while_the_table_grows() -> None:
    keys = Keys()

    faults = [keys.add(f"key-{number}", number) for number in range(1, 20_001)]

    assert not any(faults)
    assert len(keys) == 20_000


def test_the_first_line_of_a_key_is_still_known_after_the_table_has_grown() -> None:
    keys = Keys()
    keys.add("first", 1)
    _ = [keys.add(f"key-{number}", number) for number in range(2, 5_000)]

    fault = keys.add("first", 5_000)

    assert fault is not None
    assert "line 1 " in fault.reason


def test_a_remembered_key_takes_less_than_96_bytes() -> None:
    """1,000,000 keys must leave room for everything else in 300 MB."""
    tracemalloc.start()
    keys = Keys()
    _ = sum(1 for number in range(1, 50_001) if keys.add(f"a-rather-long-key-of-a-product-{number}", number))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak / len(keys) < 96
