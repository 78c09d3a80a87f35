import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.rules.fault import Fault
from worker.core.rules.models_catalogue import MODELS
from worker.intake.rules.column_names import METADATA_MAX_BYTES
from worker.intake.rules.request import JobRequest, fingerprint, validate

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
COLUMNS = st.sampled_from(["key", "prompt", "image_size", "output_format", "reference", "model", "sku"])
SPEC = MODELS["qwen-image"]


def accepted(raw: dict[str, object], line: int = 7) -> JobRequest:
    request = validate(raw, line)
    assert isinstance(request, JobRequest), request
    return request


def refused(raw: dict[str, object], line: int = 7) -> tuple[Fault, ...]:
    faults = validate(raw, line)
    assert isinstance(faults, tuple), faults
    return faults


def test_absent_optional_columns_get_their_defaults() -> None:
    request = accepted({"prompt": "a shoe", "image_size": "", "model": None, "reference": ""})

    assert request == JobRequest(
        line=7,
        key="line-000007",
        prompt="a shoe",
        model="qwen-image",
        params={"image_size": "square_hd", "output_format": "png"},
        references=(),
        metadata={},
    )


def test_every_other_column_is_kept_as_metadata_unchanged() -> None:
    request = accepted({"prompt": "a shoe", "sku": "S-1", "tags": ["a", {"b": 1.5}], "stock": None})

    assert request.metadata == {"sku": "S-1", "tags": ["a", {"b": 1.5}], "stock": None}


def test_all_faults_of_a_line_are_reported_at_once() -> None:
    faults = refused({"key": "a/b", "image_size": "huge", "output_format": 5, "model": "dall", "reference": "ftp://x"})

    assert [fault.field for fault in faults] == [
        "key",
        "model",
        "prompt",
        "image_size",
        "output_format",
        "reference",
    ]


def test_a_fault_says_line_key_field_reason_and_permitted_values() -> None:
    (fault,) = refused({"key": "shoe-3", "prompt": "a shoe", "image_size": "huge"}, 17)

    assert str(fault) == (
        "line 17 (key shoe-3), image_size: 'huge' is not known; permitted: square, square_hd, "
        "portrait_4_3, portrait_16_9, landscape_4_3, landscape_16_9"
    )


@pytest.mark.parametrize(
    ("column", "value", "meant"),
    [
        ("image_size", "sqare_hd", "square_hd"),
        ("output_format", "jpg", "jpeg"),
        ("model", "qwen_image", "qwen-image"),
    ],
)
def test_a_near_miss_names_the_value_that_was_meant(column: str, value: str, meant: str) -> None:
    (fault,) = refused({"prompt": "a shoe", column: value})

    assert f"did you mean '{meant}'?" in fault.reason


@pytest.mark.parametrize("column", ["Image_Size", "imageSize", "image size", "image_sze", "output-format", "Key"])
def test_a_misspelt_column_is_a_fault_and_not_metadata(column: str) -> None:
    """Taken as metadata it would buy images of the default size in silence."""
    (fault,) = refused({"prompt": "a shoe", column: "square"})

    assert fault.field == column


@pytest.mark.parametrize("column", ["keywords", "colour", "style", "shelf", "prompt_id", "x_size"])
def test_a_column_that_only_resembles_a_known_one_is_metadata(column: str) -> None:
    request = accepted({"prompt": "a shoe", column: "x"})

    assert request.metadata == {column: "x"}


@pytest.mark.parametrize("prompt", ["x" * 5000, "😀" * 2500, "é" * 5000, " kept \n as it is\t"])
def test_a_prompt_within_the_limit_is_kept_exactly(prompt: str) -> None:
    request = accepted({"prompt": prompt})

    assert request.prompt == prompt


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("x" * 5001, "5,001 characters"),
        ("😀" * 2501, "5,002 characters"),
        ("", "blank"),
        (" \n\u3000", "blank"),
        (None, "missing"),
        (5, "must be text"),
        (["a"], "must be text"),
        ("a\0b", "NUL"),
        ("a\ud83d", "surrogate"),
    ],
    ids=["long", "long-in-utf16", "empty", "blank", "missing", "number", "list", "nul", "surrogate"],
)
def test_a_prompt_that_cannot_be_sent_is_refused(prompt: object, reason: str) -> None:
    (fault,) = refused({"prompt": prompt})

    assert fault.field == "prompt"
    assert reason in fault.reason


@pytest.mark.parametrize(
    "value",
    [
        {"a": "x\0"},
        {"a\0": 1},
        float("nan"),
        float("inf"),
        10**400,
        "\ud800",
        "x" * METADATA_MAX_BYTES,
        [0] * METADATA_MAX_BYTES,
        {1: 2},
        {"": 1},
        b"bytes",
    ],
    ids=["nul", "nul-name", "nan", "inf", "huge", "surrogate", "long", "wide", "name", "no-name", "bytes"],
)
def test_metadata_that_cannot_be_stored_is_refused(value: object) -> None:
    (fault,) = refused({"prompt": "a shoe", "extra": value})

    assert fault.field == "metadata"


def test_metadata_that_contains_itself_is_refused() -> None:
    value: list[object] = []
    value += [value, value]

    (fault,) = refused({"prompt": "a shoe", "extra": value})

    assert fault.field == "metadata"


@pytest.mark.parametrize(
    "reference",
    [
        "a.png",
        "folder/ü.webp",
        "../up.jpg",
        "/root.png",
        "C.png",
        "https://example.org/a.png?x=1",
        "sha256:" + "a" * 64,
    ],
)
def test_a_reference_is_a_path_an_https_address_or_a_hash(reference: str) -> None:
    request = accepted({"prompt": "a shoe", "reference": reference})

    assert request.references == (reference,)


@pytest.mark.parametrize(
    "reference",
    [
        "http://example.org/a.png",
        "ftp://example.org/a.png",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "https://",
        "https://user:secret@example.org/a.png",
        "https://[::1/a.png",
        "https://example.org:99999/a.png",
        "sha256:abc",
        "a\nb.png",
        "x" * 3000,
        "  ",
        5,
        {},
    ],
)
def test_any_other_reference_is_refused(reference: object) -> None:
    (fault,) = refused({"prompt": "a shoe", "reference": reference})

    assert fault.field == "reference"


def test_a_password_in_an_address_is_not_repeated_in_the_message() -> None:
    (fault,) = refused({"prompt": "a shoe", "reference": "https://user:secret@example.org/a.png"})

    assert "secret" not in str(fault)


def test_a_message_shows_no_character_that_a_terminal_would_act_on() -> None:
    (fault,) = refused({"prompt": "a shoe", "image_size": "\x1b[2J\u202e\n"})

    assert str(fault).isprintable()


@settings(max_examples=60, deadline=None)
@given(raw=st.dictionaries(COLUMNS | st.text(max_size=12), JSON_VALUES, max_size=8))
def test_no_json_object_crashes_the_validation(raw: dict[str, object]) -> None:
    found = validate(raw, 3)

    assert isinstance(found, JobRequest) or all(str(fault).startswith("line 3") for fault in found)


@settings(max_examples=60, deadline=None)
@given(
    prompt=st.text(min_size=1, max_size=200).filter(str.strip),
    key=st.text(max_size=200) | st.integers() | st.none(),
    rest=st.dictionaries(st.text(min_size=1, max_size=12), JSON_VALUES, max_size=3),
)
def test_what_is_accepted_is_within_every_limit(prompt: str, key: object, rest: dict[str, object]) -> None:
    found = validate(rest | {"prompt": prompt, "key": key}, 3)

    assert isinstance(found, tuple) or _is_within_limits(found)


def _is_within_limits(request: JobRequest) -> bool:
    size = len(json.dumps(request.metadata, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode())
    name = request.key.encode()
    return (
        size <= METADATA_MAX_BYTES
        and 0 < len(name) <= 180
        and not {"/", "\\", "\0"} & set(request.key)
        and request.key[0] != "."
        and len(request.prompt.encode("utf-16-le")) <= 2 * SPEC.prompt_max
        and set(request.params) == {"image_size", "output_format"}
    )


def test_the_fingerprint_is_the_same_for_the_same_image() -> None:
    one = accepted({"prompt": "a shoe", "key": "a", "sku": "1"}, 1)
    other = accepted({"prompt": "a shoe", "key": "b", "image_size": "square_hd"}, 2)

    assert fingerprint(one, ()) == fingerprint(other, ())


@pytest.mark.parametrize(
    ("raw", "references"),
    [
        ({"prompt": "a shoe "}, ()),
        ({"prompt": "a shoe", "image_size": "square"}, ()),
        ({"prompt": "a shoe", "output_format": "jpeg"}, ()),
        ({"prompt": "a shoe"}, ("a" * 64,)),
        ({"prompt": "a shoe"}, ("a" * 64, "a" * 64)),
    ],
)
def test_the_fingerprint_changes_with_all_that_decides_the_image(
    raw: dict[str, object], references: tuple[str, ...]
) -> None:
    plain = fingerprint(accepted({"prompt": "a shoe"}), ())

    changed = fingerprint(accepted(raw), references)

    assert changed != plain
